#!/usr/bin/env bash
# Create a queue, publish, consume, acknowledge, give back: the API with nothing but curl.
# Needs HOTSWAP_URL and HOTSWAP_TOKEN:  eval "$(npx hotswap status -o env)"
set -euo pipefail

topic="curl-example-$$"

# api METHOD PATH [BODY]: prints the answer; an error is printed as well and ends the script.
api() {
  curl -sS --fail-with-body -X "$1" "$HOTSWAP_URL/api/v1$2" -H "authorization: Bearer $HOTSWAP_TOKEN" \
    ${3:+-H 'content-type: application/json' -d "$3"}
  echo
}
receipts() { grep -o '"receipt":"[^"]*"' | cut -d'"' -f4; }

echo "a queue:";              api POST /topics "{\"name\": \"$topic\"}"
echo "one message:";          api POST /messages/publish "{\"topic\": \"$topic\", \"payload\": {\"id\": 1}, \"key\": \"ann\"}"
echo "two more at once:";     api POST /messages/publish "{\"topic\": \"$topic\", \"messages\": [{\"payload\": 2}, {\"payload\": \"three\"}]}"

echo "take two:";             taken=$(api GET "/messages/consume/$topic?limit=2&wait=5"); echo "$taken"
{ read -r first; read -r second; } < <(receipts <<< "$taken")
echo "the first is done:";    api POST /messages/ack "{\"receipts\": [\"$first\"]}"
echo "the second is not:";    api POST /messages/nack "{\"items\": [{\"receipt\": \"$second\", \"delayMs\": 0}]}"
echo "so it comes again:";    rest=$(api GET "/messages/consume/$topic?wait=5"); echo "$rest"
all=$(receipts <<< "$rest" | sed 's/.*/"&"/' | paste -sd,)
echo "all done:";             api POST /messages/ack "{\"receipts\": [$all]}"
echo "nothing is left:";      api GET "/topics/$topic/stats"
api DELETE "/topics/$topic"
