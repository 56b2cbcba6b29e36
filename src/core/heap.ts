/** A binary min-heap by a numeric rank that is fixed while an item is inside. Push and pop are O(log n). */
export class Heap<Item> {
  readonly #items: { rank: number; item: Item }[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The smallest item, still inside. */
  peek(): Item | undefined {
    return this.#items[0]?.item;
  }

  peekRank(): number | undefined {
    return this.#items[0]?.rank;
  }

  push(rank: number, item: Item): void {
    const items = this.#items;
    const added = { rank, item };
    let at = items.length;
    items.push(added);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (items[parent]!.rank <= rank) break;
      items[at] = items[parent]!;
      at = parent;
    }
    items[at] = added;
  }

  /** Drops every item that `isWanted` refuses. O(n log n). */
  keep(isWanted: (item: Item) => boolean): void {
    const wanted = this.#items.filter(({ item }) => isWanted(item));
    this.#items.length = 0;
    for (const { rank, item } of wanted) this.push(rank, item);
  }

  pop(): Item | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (!top || !last || items.length === 0) return top?.item;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && items[child + 1]!.rank < items[child]!.rank) child += 1;
      if (items[child]!.rank >= last.rank) break;
      items[at] = items[child]!;
      at = child;
    }
    items[at] = last;
    return top.item;
  }
}
