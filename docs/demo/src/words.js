// What the page says of a session, in words: for everybody, and for those who do not see the pictures.

const $ = (id) => document.getElementById(id);
const number = (value) => Math.round(value).toLocaleString("en");
const round = (value) => Math.round(value * 10) / 10;
/** Screen readers are told at most this often, in milliseconds. */
const TELL_EVERY = 3000;

/** What the models' histories are of, for people. */
const SOURCES = {
  psrl: "posterior sampling",
  ucb: "upper confidence bounds",
  linucb: "LinUCB",
  belief: "the exact filter",
  noise: "noisy demonstrations",
  "self-tuning": "a self-tuning controller",
};

let toldAt = 0;
/** The curve whose numbers are in the table, and how many of all of them have been. */
let tabulated = { curve: null, points: 0 };

/** What stays the same while a world is shown. */
export function recite(session) {
  const { environment, facts } = session;
  $("title").textContent = environment.title;
  $("story").textContent = environment.story;
  $("hint").textContent = environment.hint;
  $("key").textContent = environment.picture.key(session);
  $("weights").textContent = number(facts.parameters);
  $("best-label").textContent = environment.bestLabel;
  $("curve-title").textContent = environment.block ? `What ${environment.block} tries paid` : "What each episode paid";
  $("numbers-unit").textContent = environment.block ? "Tries" : "Episode";
  $("choice").replaceChildren(...environment.actions.map(choiceRow));
  const { source } = facts.card.generation;
  const rows = {
    "int8 weights": number(facts.parameters),
    "flash for the model": `${number(session.model.length)} bytes`,
    "RAM for memory and work": `${number(facts.workspace)} bytes`,
    "steps it remembers": number(facts.window),
    "distilled from": SOURCES[source.name] ?? source.name,
    "CRC-32 of the model": facts.crc.toString(16).padStart(8, "0"),
  };
  const items = Object.entries(rows).map(([name, value]) => fact(name, value));
  $("facts").replaceChildren(...items, fact("fingerprint of the actions so far", "", "fingerprint"));
  toldAt = 0;
}

function fact(name, value, id = "") {
  const group = document.createElement("div");
  group.append(
    Object.assign(document.createElement("dt"), { textContent: name }),
    Object.assign(document.createElement("dd"), { textContent: value, id }),
  );
  return group;
}

/** What changes with every step. */
export function describe(session, rate, playing) {
  const status = progress(session, playing ? rate : 0);
  $("status").textContent = status;
  $("fingerprint").textContent = session.fingerprint.toString(16).padStart(8, "0");
  tabulate(session);
  showChoice(session);
  const now = performance.now();
  if (playing && session.steps > 0 && now - toldAt < TELL_EVERY) return;
  toldAt = now;
  tell(session, status);
}

/** The pictures, in words. */
function tell(session, status) {
  const { environment, memory } = session;
  $("told").textContent = status;
  $("trained").textContent = training(session);
  $("picture").setAttribute("aria-label", `${environment.title}. ${environment.picture.describe(session)}`);
  $("curve").setAttribute("aria-label", curveInWords(session));
  $("ring").setAttribute("aria-label", `${memory.filled} of ${memory.slots.length} slots of its memory are filled.`);
}

/** Whether the model was trained on this very task. */
function training(session) {
  const { generation } = session.facts.card;
  const count = generation.tasks ?? session.world.tasks - session.heldOut.length;
  if (!session.isTrained)
    return `Its weights come from ${number(count)} other tasks. It was never trained on this one.`;
  return `Its weights come from ${number(count)} tasks, this one among them; but its memory starts empty, and it has to find out which one it is in.`;
}

/** Where the agent stands, in a sentence or two. */
function progress(session, rate) {
  const { environment, curve, memory, points, steps } = session;
  const where = environment.block
    ? `After ${number(steps)} ${steps === 1 ? "try" : "tries"}.`
    : `Episode ${points + (session.episodeEnded ? 0 : 1)}, step ${session.episode.length - 1}.`;
  const speed = rate > 200 ? ` ${number(rate)} steps a second.` : "";
  if (steps === 0) return "It knows nothing of this task yet.";
  return `${where} ${phase(session, memory, curve)}${speed}`;
}

function phase(session, memory, curve) {
  const { best, random } = session.references();
  const last = curve.at(-1)?.value;
  const isGood = last !== undefined && last - random > 0.75 * (best - random);
  if (isGood) return "It remembers, and makes the most of it.";
  if (!memory.steps().some(({ reward }) => reward > 0)) return "Exploring: nothing has paid yet.";
  const { arm } = session.environment;
  return arm ? `It tries ${arm}s and remembers what they paid.` : "It was paid, and remembers where.";
}

function curveInWords(session) {
  const { best, random } = session.references();
  const { block } = session.environment;
  const unit = block ? `${block} tries` : "an episode";
  const values = session.curve.slice(-12).map((point) => round(point.value));
  const so = values.length > 0 ? `The last ones paid ${values.join(", ")}.` : "None has ended yet.";
  return `Line chart of what ${unit} paid. ${so} Best: ${round(best)}. Random: ${round(random)}.`;
}

/** Only what is new is added: there may be hundreds of rows. */
function tabulate({ curve, points, environment }) {
  const table = $("numbers");
  if (tabulated.curve !== curve) {
    table.replaceChildren();
    tabulated = { curve, points: 0 };
  }
  for (const { value, steps } of curve.slice(Math.max(0, curve.length - (points - tabulated.points)))) {
    tabulated.points += 1;
    const row = table.insertRow(-1);
    for (const text of [tabulated.points * (environment.block ?? 1), round(value), steps]) {
      row.insertCell(-1).textContent = text;
    }
  }
  while (table.rows.length > curve.length) table.deleteRow(0);
}

/** The probabilities that the last action was drawn from. */
function showChoice({ agent, environment, steps, episode }) {
  const chances = steps > 0 ? agent.probabilities() : environment.actions.map(() => 0);
  const chosen = episode.at(-1).action;
  const rows = $("choice").children;
  chances.forEach((chance, action) => {
    rows[action].classList.toggle("chosen", action === chosen);
    rows[action].lastElementChild.style.width = `${100 * chance}%`;
  });
  const words = chances.map((chance, action) => `${environment.actions[action]} ${Math.round(100 * chance)} %`);
  $("choice").setAttribute("aria-label", words.join(", "));
}

function choiceRow(name) {
  const row = document.createElement("div");
  row.className = "chance";
  row.append(Object.assign(document.createElement("span"), { textContent: name }), document.createElement("i"));
  return row;
}
