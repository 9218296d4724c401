interface Node {
  /** The characters between the parent and this node. */
  label: string;
  /** How many times the text that ends here was added; 0 where texts only branch. */
  count: number;
  readonly children: Map<string, Node>;
}

const newNode = (label: string): Node => ({ label, count: 0, children: new Map() });

/**
 * Finds which of many texts stands at a place in another text. A radix tree (Morrison, "PATRICIA", 1968), so that a
 * search costs the length of what it matches, however many texts have a common beginning.
 */
export class TextIndex {
  /** No text is shorter. */
  readonly #minLength: number;
  // A tree for each beginning of the least length: most places of a text are ruled out by one look.
  readonly #trees = new Map<string, Node>();

  constructor(minLength: number) {
    this.#minLength = minLength;
  }

  /** Adds a text of at least the least length. A text may be added several times. */
  add(text: string): void {
    const start = text.slice(0, this.#minLength);
    let node = this.#trees.get(start) ?? newNode('');
    this.#trees.set(start, node);
    let rest = text.slice(start.length);
    while (rest.length > 0) {
      node = step(node, rest);
      rest = rest.slice(node.label.length);
    }
    node.count++;
  }

  /** Takes back one {@link add}. */
  delete(text: string): void {
    const start = text.slice(0, this.#minLength);
    const tree = this.#trees.get(start);
    if (tree && remove(tree, text.slice(start.length))) this.#trees.delete(start);
  }

  /** The length of the longest added text that stands at this place; 0 where none does. */
  longestAt(text: string, at: number): number {
    let node = this.#trees.get(text.slice(at, at + this.#minLength));
    let end = at + this.#minLength;
    let longest = 0;
    while (node && text.startsWith(node.label, end)) {
      end += node.label.length;
      if (node.count > 0) longest = end - at;
      node = node.children.get(text.charAt(end));
    }
    return longest;
  }
}

/** The child that the rest of a text goes through; split or made where there is none. */
function step(parent: Node, rest: string): Node {
  const first = rest.charAt(0);
  const child = parent.children.get(first);
  if (child && rest.startsWith(child.label)) return child;
  const node = newNode(child ? rest.slice(0, commonLength(child.label, rest)) : rest);
  parent.children.set(first, node);
  if (child) {
    child.label = child.label.slice(node.label.length);
    node.children.set(child.label.charAt(0), child);
  }
  return node;
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/** Removes a text below a node; true when the node is of no use any more. */
function remove(node: Node, rest: string): boolean {
  if (rest.length === 0) node.count--;
  else {
    const first = rest.charAt(0);
    const child = node.children.get(first);
    if (child && rest.startsWith(child.label) && remove(child, rest.slice(child.label.length)))
      node.children.delete(first);
    else if (child) joinOnlyChild(child);
  }
  return node.count === 0 && node.children.size === 0;
}

/** A node that neither ends a text nor branches any more becomes one with its child. */
function joinOnlyChild(node: Node): void {
  const [only, ...others] = node.children.values();
  if (node.count > 0 || !only || others.length > 0) return;
  node.label += only.label;
  node.count = only.count;
  node.children.clear();
  for (const [first, child] of only.children) node.children.set(first, child);
}
