// "The same bits": the trace of the firmware's tests, run here, beside the host's.

const SUMS = { actions_crc32: "actions", logits_crc32: "outputs", observations_crc32: "all it saw" };

/** `{name, host, here, same}` of each sum of the environment's trace. */
export function compare(agent, golden) {
  const here = agent.trace(golden);
  return Object.entries(SUMS).map(([sum, name]) => ({
    name,
    host: golden[sum],
    here: here[sum],
    same: golden[sum] === here[sum] && golden.steps === here.steps,
  }));
}

/** Fills the table. */
export function show(table, rows) {
  table.replaceChildren(
    ...rows.map(({ name, host, here, same }) => {
      const row = document.createElement("tr");
      const head = Object.assign(document.createElement("th"), { scope: "row", textContent: name });
      const cells = [host, here, same ? "✓ equal" : "✗ different"].map((text) =>
        Object.assign(document.createElement("td"), { textContent: text }),
      );
      cells[2].className = same ? "same" : "different";
      row.append(head, ...cells);
      return row;
    }),
  );
}
