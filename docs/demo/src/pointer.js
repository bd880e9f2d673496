// Choosing a task by clicking the picture, or with the keyboard: arrows move a frame, Enter puts it.

const $ = (id) => document.getElementById(id);
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export class Pointer {
  /** `page` has the session and takes the wishes. */
  constructor(canvas, page) {
    Object.assign(this, { canvas, page, turn: 0 });
    canvas.addEventListener("click", (event) => this.#click(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    for (const event of ["focus", "blur"]) canvas.addEventListener(event, () => page.draw());
    $("turns").addEventListener("change", ({ target }) => {
      this.turn = Number(target.value);
    });
  }

  get #picture() {
    return this.page.session.environment.picture;
  }

  /** Another task or another world. */
  begin() {
    const { session } = this.page;
    const turns = this.#picture.turns(session);
    this.turn = 0;
    this.cursor = this.#picture.firstCursor?.(session) ?? null;
    const isChoice = turns.length > 0;
    this.canvas.setAttribute("role", isChoice ? "application" : "img");
    // No key does anything where there is nothing to choose.
    if (isChoice) this.canvas.tabIndex = 0;
    else this.canvas.removeAttribute("tabindex");
    $("turns").hidden = turns.length < 2;
    $("turns").replaceChildren(
      $("turns").firstElementChild,
      ...turns.map((name, turn) => this.#turnChoice(name, turn)),
    );
    $("cursor").textContent = "";
  }

  /** Where the frame of the keyboard is, while the picture has the focus by keyboard. */
  shown() {
    return this.canvas.matches(":focus-visible") ? this.cursor : null;
  }

  #turnChoice(name, turn) {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), {
      type: "radio",
      name: "turn",
      value: turn,
      checked: turn === 0,
    });
    label.append(input, ` the ${name}`);
    return label;
  }

  #click(event) {
    if (this.cursor === null) return;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    this.cursor = this.#picture.locate(this.page.session, x, y, box.height);
    this.#put();
  }

  #key(event) {
    if (this.cursor === null) return;
    const move = ARROWS[event.key];
    if (move) {
      this.cursor = this.#picture.moveCursor(this.page.session, this.cursor, move);
      $("cursor").textContent = this.#picture.describeCursor(this.page.session, this.cursor, this.turn);
      this.page.draw();
    } else if (event.key === "Enter" || event.key === " ") {
      this.#put();
    } else {
      return;
    }
    event.preventDefault();
  }

  #put() {
    const { session } = this.page;
    const wish = this.#picture.choose(session, this.cursor, this.turn);
    if (wish === null) {
      this.page.note("It cannot be put there.");
      return;
    }
    this.page.wish(wish);
    const turns = this.#picture.turns(session).length;
    if (turns < 2) return;
    this.turn = (this.turn + 1) % turns;
    document.querySelector(`input[name="turn"][value="${this.turn}"]`).checked = true;
  }
}
