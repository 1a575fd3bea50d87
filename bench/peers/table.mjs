// From figures to a table that can be read and pasted. Must never drop a system: what has no figure says why.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function rounded(value) {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/**
 * One line for each figure of each row. `measured[row][system]` are the rounds' figures or a text that says why there
 * are none; `systems` those that could have run, with `durable`.
 */
export function lines(rows, systems, measured) {
  return rows.flatMap((row) =>
    Object.entries(row.figures).map(([figure, unit]) => {
      const cells = {};
      for (const { name } of systems) {
        const found = measured[row.name]?.[name];
        const values = Array.isArray(found) ? found.flatMap((round) => round[figure] ?? []) : [];
        if (values.length > 0) cells[name] = { median: rounded(median(values)), least: rounded(Math.min(...values)), most: rounded(Math.max(...values)) };
        else if (typeof found === "string") cells[name] = { why: found };
      }
      return { row: row.name, text: row.text, unit, less: row.less ?? false, cells, ...ratio(row, systems, cells) };
    }),
  );
}

/** Ours to the best of the others that are as durable. */
function ratio(row, systems, cells) {
  const ours = cells.Baton?.median;
  const others = systems.filter(({ name, durable, queue }) => name !== "Baton" && cells[name]?.median && (durable || !queue));
  if (!ours || others.length === 0) return { best: null, ratio: null };
  const better = (a, b) => (row.less ? a.median < b.median : a.median > b.median);
  const best = others.map(({ name }) => name).reduce((a, b) => (better(cells[b], cells[a]) ? b : a));
  return { best, ratio: rounded(ours / cells[best].median) };
}

/** In Markdown. */
export function markdown({ conditions, systems, lines, syncs }) {
  const names = systems.map(({ name }) => name);
  const marked = (system) => (system.queue && !system.durable && !system.missing ? `${system.name} †` : system.name);
  const cell = (line, name) => {
    const found = line.cells[name];
    if (!found) return "–";
    return found.why ? found.why.split(":")[0] : `${shown(found.median)} (${shown(found.least)}–${shown(found.most)})`;
  };
  const body = lines.map((line) => [
    `${line.text}, ${line.unit}`,
    ...names.map((name) => cell(line, name)),
    line.ratio ? `${line.ratio} × ${line.best}${line.less ? "; less is better" : ""}` : "–",
  ]);
  const whys = new Set(lines.flatMap(({ cells }) => Object.entries(cells).flatMap(([name, { why }]) => (why ? [`${name}: ${why}`] : []))));
  return [
    ...Object.entries(conditions).map(([name, text]) => `* ${name}: ${text}`),
    "",
    ...table(["median of the rounds (least–most)", ...systems.map(marked), "Baton to the best"], body),
    "",
    ...(systems.some((system) => marked(system).endsWith("†")) ? ["† not durable: what it acknowledges may be lost, so it is not compared.", ""] : []),
    ...[...whys].map((why) => `* ${why}`),
    ...(whys.size ? [""] : []),
    ...table(["system", "version", "set to", ...(syncs[0]?.names ?? [])], syncs.map(({ name, version, settings, cells }) => [name, version, settings, ...cells])),
  ].join("\n");
}

function table(head, body) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...body.map(line)];
}

function shown(value) {
  return value >= 1_000 ? value.toLocaleString("en-US") : String(value);
}
