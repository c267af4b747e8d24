// The state of the points in the page's address: colour, filter, and what is chosen. Names as in keepPoints.

const STATES = { colour: "colour.", only: "only.", chose: "chosen." };

// [[name, text], ...] of what differs from how the page opens.
function keepPoints(charts) {
  return charts.flatMap((chart) => {
    const { element: { id }, only, chose, set } = chart, kept = [];
    if ((chart.colour?.name ?? "") !== set.header.colour) kept.push([STATES.colour + id, chart.colour?.name ?? ""]);
    if (only) kept.push([STATES.only + id, [only.column, ...("code" in only ? [`is ${set.column(only.column).labels[only.code]}`] : ["from", only.low, only.high])].join("\t")]);
    if (chose) kept.push([STATES.chose + id, chose.polygon ? chose.polygon.map((at) => at.toString(36)).join(" ") : [chose.column, set.column(chose.column).labels[chose.code]].join("\t")]);
    return kept;
  });
}

// Sets the states of all charts from such names and texts; what none of them names goes back to how the page opens.
function recallPoints(charts, named) {
  for (const chart of charts) {
    const { set, element: { id } } = chart, text = (kind) => named.get(STATES[kind] + id);
    const colour = text("colour") ?? set.header.colour;
    if (colour !== (chart.colour?.name ?? "")) chart.colourBy(colour);
    const only = onlyOf(set, text("only")), chose = choiceOf(set, text("chose"));
    if (JSON.stringify(only) !== JSON.stringify(chart.only)) chart.filter(only, false);
    if (JSON.stringify(chose) !== JSON.stringify(chart.chose)) chart.choose(chose, false);
  }
}

function onlyOf(set, text = "") {
  const [name, how, ...rest] = text.split("\t"), column = set.column(name);
  if (column?.kind === "category") {
    const code = column.labels.indexOf(how?.replace(/^is /, ""));
    return code < 0 ? null : { column: name, code };
  }
  const [low, high] = rest.map(Number);
  return column?.kind === "quantity" && Number.isFinite(low) && Number.isFinite(high) ? { column: name, low, high } : null;
}

function choiceOf(set, text = "") {
  if (text.includes("\t")) {
    const [name, label] = text.split("\t"), column = set.column(name), code = column?.kind === "category" ? column.labels.indexOf(label) : -1;
    return code < 0 ? null : { column: name, code };
  }
  const polygon = text.split(" ").map((at) => parseInt(at, 36));
  return polygon.length >= 6 && polygon.length % 2 === 0 && polygon.length <= 400 && polygon.every((at) => Number.isFinite(at) && Math.abs(at) < 1e5) ? { polygon } : null;
}
