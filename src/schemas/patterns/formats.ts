/**
 * The formats that are checked, each as a pattern: so they cost linear time like every pattern, and the
 * compatibility checker can compare them. A format that is not listed is a note to the reader, as JSON Schema
 * 2020-12 has it (format-annotation).
 */
const monthAndDay =
  "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))";
const leapYear = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const date = `(?:\\d{4}-${monthAndDay}|${leapYear}-02-29)`;
const hourAndMinute = "(?:[01]\\d|2[0-3]):[0-5]\\d";
const time = `${hourAndMinute}:(?:[0-5]\\d|60)(?:\\.\\d+)?(?:[zZ]|[+-]${hourAndMinute})`;
const byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const ipv4 = `(?:${byte}\\.){3}${byte}`;
const hex = "[0-9A-Fa-f]";
const group = `${hex}{1,4}`;
const lastGroups = `(?:${group}:${group}|${ipv4})`;
const ipv6 = [
  `(?:${group}:){6}${lastGroups}`,
  `::(?:${group}:){5}${lastGroups}`,
  `(?:${group})?::(?:${group}:){4}${lastGroups}`,
  `(?:(?:${group}:){0,1}${group})?::(?:${group}:){3}${lastGroups}`,
  `(?:(?:${group}:){0,2}${group})?::(?:${group}:){2}${lastGroups}`,
  `(?:(?:${group}:){0,3}${group})?::${group}:${lastGroups}`,
  `(?:(?:${group}:){0,4}${group})?::${lastGroups}`,
  `(?:(?:${group}:){0,5}${group})?::${group}`,
  `(?:(?:${group}:){0,6}${group})?::`,
].join("|");
const label = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const hostname = `${label}(?:\\.${label})*`;
const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const duration =
  "P(?:\\d+W|(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)(?:T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))?|" +
  "T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))";
const uriCharacter = "(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\\[\\]-]|%[0-9A-Fa-f]{2})";

const whole = (pattern: string) => `^(?:${pattern})$`;

export const formats: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "date-time": whole(`${date}[Tt]${time}`),
    date: whole(date),
    time: whole(time),
    duration: whole(duration),
    email: whole(`${atom}(?:\\.${atom})*@${hostname}`),
    hostname: whole(hostname),
    ipv4: whole(ipv4),
    ipv6: whole(ipv6),
    uuid: whole(`${hex}{8}-${hex}{4}-${hex}{4}-${hex}{4}-${hex}{12}`),
    uri: whole(`[A-Za-z][A-Za-z0-9+.-]*:${uriCharacter}*(?:#${uriCharacter}*)?`),
    "uri-reference": whole(`${uriCharacter}*(?:#${uriCharacter}*)?`),
    "json-pointer": whole("(?:/(?:[^~/]|~[01])*)*"),
  }),
);
