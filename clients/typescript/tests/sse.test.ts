import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser } from "../src/sse.js";

/** What comes out when the text is cut into pieces of this size. */
function parsed(text: string, size: number): string[] {
  const parser = new Parser();
  const events: string[] = [];
  for (let at = 0; at < text.length; at += size) {
    for (const { id, event, data } of parser.push(text.slice(at, at + size))) {
      events.push(`${id}|${event}|${data}`);
    }
  }
  return events;
}

const table: [name: string, text: string, events: string[]][] = [
  ["an event with all fields", "id: 1.2\nevent: response\ndata: {}\n\n", ["1.2|response|{}"]],
  ["any line end", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["|message|a", "|message|b", "|message|c"]],
  ["several data lines", "data: a\ndata:b\ndata\n\n", ["|message|a\nb\n"]],
  ["comments and unknown fields", ": still here\n\nfoo: bar\ndata: x\n\n", ["|message|x"]],
  ["the id stays, the name does not", "id: 7\nevent: e\ndata: a\n\ndata: b\n\n", ["7|e|a", "7|message|b"]],
  ["an id alone is no event", "id: 7\n\ndata: a\n\n", ["7|message|a"]],
  ["what is cut off at the end is no event", "data: a\n\ndata: b\n", ["|message|a"]],
  ["a byte order mark", "\uFEFFdata: a\n\n", ["|message|a"]],
  ["one space only is taken away", "data:  a: b\n\n", ["|message| a: b"]],
];

for (const [name, text, events] of table) {
  test(name, () => {
    for (const size of [1, 2, 3, text.length]) {
      assert.deepEqual(parsed(text, size), events, `in pieces of ${size}`);
    }
  });
}

test("the server's pause is taken over", () => {
  const parser = new Parser();
  parser.push("retry: 250\nretry: soon\n\n");
  assert.equal(parser.retry, 250);
});
