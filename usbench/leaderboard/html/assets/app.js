// Adds to tables that are complete without it: sorting, filters, a column chooser; and a theme switch.
"use strict";

(() => {
  const make = (tag, properties = {}, children = []) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  // Theme: automatic, light, dark. Storage may be refused for pages opened from disk.
  const remember = (value) => { try { localStorage.setItem("usbench-theme", value); } catch { /* not kept */ } };
  const recall = () => { try { return localStorage.getItem("usbench-theme") || "auto"; } catch { return "auto"; } };
  const setTheme = (value) => {
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    const button = document.getElementById("theme");
    button.textContent = `Theme: ${value}`;
    button.hidden = false;
  };
  const themes = ["auto", "light", "dark"];
  let theme = themes.includes(recall()) ? recall() : "auto";
  setTheme(theme);
  document.getElementById("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
    remember(theme);
  });

  // Open menus close on Escape and on a click elsewhere.
  const closeMenus = (except) => {
    for (const menu of document.querySelectorAll(".menu[open], .chooser[open]")) {
      if (!except || !menu.contains(except)) menu.open = false;
    }
  };
  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.activeElement && document.activeElement.closest("details[open]");
    closeMenus(null);
    if (open) open.querySelector("summary").focus();
  });

  const compare = (numeric, direction) => (a, b) => {
    if (a === "" || b === "") return (a === "") - (b === "");  // empty cells stay last either way
    return direction * (numeric ? Number(a) - Number(b) : a.localeCompare(b));
  };

  // What rows can be filtered by, and filters that go together. Baselines always pass: they are what others are
  // measured against.
  const FACETS = [
    ["leakage", "Leakage"], ["licence", "Licence"], ["size", "Size"], ["year", "Year"],
    ["training", "Pre-training"], ["modality", "Pre-trained on"],
  ];
  const SUITES = [
    ["all encoders", {}],
    ["clean only", { leakage: "clean" }],
    ["open licence only", { licence: "open" }],
    ["clean and open", { leakage: "clean", licence: "open" }],
    ["pre-trained on ultrasound", { modality: "ultrasound" }],
  ];
  const SIZES = ["under 10 M", "10 to 100 M", "over 100 M"];

  function facetsOf(rows) {
    const encoders = rows.filter((row) => !row.classList.contains("floor"));
    return FACETS.map(([key, label]) => {
      const cellsOf = (row) => (key === "leakage" ? [...row.querySelectorAll("td[data-leakage]")] : []);
      const values = new Set(encoders.flatMap((row) => {
        const cells = cellsOf(row);
        return cells.length ? cells.map((cell) => cell.dataset.leakage) : [row.dataset[key]];
      }).filter(Boolean));
      const select = make("select", {}, [make("option", { value: "", textContent: "any" })]);
      const since = key === "year";
      const known = [...values].filter((value) => !since || value !== "not stated");
      const place = (value) => (key === "size" ? SIZES.indexOf(value) : -1);
      known.sort((a, b) => place(a) - place(b) || a.localeCompare(b));
      if (since) known.reverse();
      for (const value of known) {
        select.append(make("option", { value, textContent: since ? `${value} or later` : value }));
      }
      const passes = (value) => (since ? Number(value) >= Number(select.value) : value === select.value);
      const accepts = (row) => {
        const cells = cellsOf(row);
        return cells.length ? cells.some((cell) => passes(cell.dataset.leakage)) : passes(row.dataset[key]);
      };
      return { key, label, select, passes, accepts, values };
    }).filter((facet) => facet.values.size > 1);
  }

  for (const sheet of document.querySelectorAll("[data-sheet]")) enhance(sheet);

  // What goes on to the right fades out there.
  for (const box of document.querySelectorAll(".scroll")) {
    const hint = () => box.toggleAttribute("data-more", box.scrollLeft + box.clientWidth < box.scrollWidth - 2);
    box.addEventListener("scroll", hint, { passive: true });
    new ResizeObserver(hint).observe(box);
    for (const inside of box.children) new ResizeObserver(hint).observe(inside);
  }

  for (const data of document.querySelectorAll("script[data-dots]")) {
    nameDots(document.getElementById(data.dataset.dots), JSON.parse(data.textContent));
  }

  // Maps: the dot under the pointer is named, shown where its picture may be shown, and ringed in every panel.
  function nameDots(figure, dots) {
    const tip = make("div", { className: "tip", hidden: true });
    figure.append(tip);
    const members = new Map();
    dots.targets.forEach((target, unit) => members.set(target, [...(members.get(target) || []), unit]));
    const panels = [...figure.querySelectorAll("svg:not(.mark)")].map((svg) => {
      const marks = [];
      for (const path of svg.querySelectorAll("path[data-of]")) {
        const units = members.get(path.dataset.of) || [];
        path.getAttribute("d").split("h0").filter(Boolean).forEach((move, i) => {
          const [x, y] = move.slice(1).split(" ").map(Number);
          marks.push({ x, y, unit: units[i] });
        });
      }
      const rings = document.createElementNS("http://www.w3.org/2000/svg", "g");
      rings.setAttribute("class", "rings");
      svg.append(rings);
      return { svg, marks, rings };
    });
    const hide = () => { tip.hidden = true; for (const panel of panels) panel.rings.replaceChildren(); };
    for (const { svg } of panels) svg.addEventListener("pointerleave", hide);
    for (const { svg, marks } of panels) svg.addEventListener("pointermove", (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      let best = null;
      let least = 64;  // within 8 units of the drawing
      for (const mark of marks) {
        const distance = (mark.x - at.x) ** 2 + (mark.y - at.y) ** 2;
        if (distance < least) [best, least] = [mark, distance];
      }
      if (!best) return hide();
      const unit = dots.units[best.unit];
      tip.replaceChildren(make("strong", { textContent: dots.targets[best.unit] }), ` ${unit}`);
      if (dots.pictures[unit]) tip.prepend(make("img", { src: dots.pictures[unit], alt: "" }));
      for (const panel of panels) {
        panel.rings.replaceChildren(...panel.marks.filter((mark) => mark.unit === best.unit).map((mark) => {
          const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
          for (const [name, value] of [["cx", mark.x], ["cy", mark.y], ["r", 6]]) ring.setAttribute(name, value);
          return ring;
        }));
      }
      const box = figure.getBoundingClientRect();
      tip.hidden = false;
      tip.style.left = `${Math.min(event.clientX - box.left + 14, box.width - tip.offsetWidth)}px`;
      tip.style.top = `${event.clientY - box.top + 14}px`;
    });
  }

  function enhance(sheet) {
    const table = sheet.querySelector("table");
    const headings = [...table.tHead.rows[0].cells];
    const bodies = [...table.tBodies];
    const rows = () => [...table.querySelectorAll("tbody tr:not(.rule)")];
    const home = new Map(rows().map((row) => [row, row.parentElement]));
    const status = make("span", { className: "count" });
    status.setAttribute("role", "status");
    let sorted = null;

    const sort = () => {
      if (!sorted) return;
      const { index, direction } = sorted;
      const order = compare("numeric" in headings[index].dataset, direction);
      for (const body of bodies) {
        const mine = [...body.rows].filter((row) => !row.classList.contains("rule"));
        mine.sort((a, b) => order(a.cells[index].dataset.sort, b.cells[index].dataset.sort));
        body.append(...mine);
      }
    };

    headings.forEach((heading, index) => {
      const label = heading.querySelector(".label");
      const button = make("button", { type: "button", className: "sort" });
      button.append(...label.childNodes);
      label.append(button);
      button.addEventListener("click", () => {
        const first = "ascending" in heading.dataset ? 1 : -1;
        const direction = sorted && sorted.index === index ? -sorted.direction : first;
        sorted = { index, direction };
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
        sort();
      });
    });

    const filter = make("input", { type: "search", placeholder: "name" });
    const controls = make("div", { className: "controls" });
    const nothing = make("p", { className: "nothing", hidden: true });
    const floors = bodies.find((body) => body.classList.contains("floors"));
    const visible = { floors: true };
    const facets = facetsOf(rows());
    const many = rows().length > 4;

    const refresh = () => {
      const wanted = filter.value.trim().toLowerCase();
      const chosen = facets.filter((facet) => facet.select.value);
      const leakage = chosen.find((facet) => facet.key === "leakage");
      let shown = 0;
      for (const row of rows()) {
        const isFloor = row.classList.contains("floor");
        const named = row.cells[0].textContent.toLowerCase().includes(wanted);
        row.hidden = !named || (isFloor ? !visible.floors : !chosen.every((facet) => facet.accepts(row)));
        shown += row.hidden ? 0 : 1;
        // Where the cells of a row are of several boards, those that do not pass are blank and the others stay.
        for (const cell of row.querySelectorAll("td[data-leakage]")) {
          cell.classList.toggle("veiled", Boolean(leakage) && !leakage.passes(cell.dataset.leakage));
        }
      }
      if (floors) floors.querySelector(".rule").hidden = ![...floors.rows].some((r) => !r.classList.contains("rule") && !r.hidden);
      status.textContent = `${shown} of ${rows().length} rows`;
      const encoders = rows().filter((row) => !row.classList.contains("floor"));
      nothing.hidden = encoders.length === 0 || encoders.some((row) => !row.hidden);
    };
    const reset = () => {
      filter.value = "";
      for (const facet of facets) facet.select.value = "";
      if (suite) suite.value = "0";
      refresh();
    };
    const clear = make("button", { type: "button", textContent: "Clear the filters" });
    clear.addEventListener("click", () => { reset(); filter.focus(); });
    nothing.append("No encoder passes these filters. ", clear);
    filter.addEventListener("input", refresh);
    if (many) controls.append(make("label", {}, ["Filter ", filter]));

    // Suites: filters that go together, under one name. Those that ask for what this table does not tell are left out.
    const offered = SUITES.filter(([, wanted]) => Object.keys(wanted).every((key) => facets.some((f) => f.key === key)));
    const suite = many && offered.length > 1 ? make("select") : null;
    if (suite) {
      offered.forEach(([name], i) => suite.append(make("option", { value: String(i), textContent: name })));
      suite.append(make("option", { value: "own", textContent: "my own filters", hidden: true }));
      suite.addEventListener("change", () => {
        const wanted = offered[Number(suite.value)][1];
        for (const facet of facets) facet.select.value = wanted[facet.key] || "";
        refresh();
      });
      controls.append(make("label", {}, ["Suite ", suite]));
    }
    const panel = make("fieldset", {}, [make("legend", { textContent: "Filters", className: "hidden" })]);
    if (many) {
      for (const facet of facets) {
        facet.select.addEventListener("change", () => { if (suite) suite.value = "own"; refresh(); });
        panel.append(make("label", { className: "facet" }, [make("span", { textContent: facet.label }), facet.select]));
      }
    }
    if (floors) {
      const show = make("input", { type: "checkbox", checked: true, name: "baselines" });
      show.addEventListener("change", () => { visible.floors = show.checked; refresh(); });
      const mix = make("input", { type: "checkbox", name: "mix" });
      mix.addEventListener("change", () => {
        for (const [row, body] of home) if (body === floors) (mix.checked ? bodies[0] : floors).append(row);
        sort();
        refresh();
      });
      panel.append(make("label", {}, [show, " baselines"]), make("label", {}, [mix, " sort baselines among encoders"]));
    }
    if (panel.children.length > 1) {
      controls.append(make("details", { className: "chooser filters" }, [make("summary", { textContent: "Filters" }), panel]));
    }

    if (headings.length > 3) {
      const set = make("fieldset", {}, [make("legend", { textContent: "Columns", className: "hidden" })]);
      headings.slice(1).forEach((heading, offset) => {
        const index = offset + 1;
        const box = make("input", { type: "checkbox", checked: !("hidden" in heading.dataset) });
        const apply = () => {
          for (const row of table.rows) if (!row.classList.contains("rule")) row.cells[index].hidden = !box.checked;
        };
        box.addEventListener("change", apply);
        apply();
        set.append(make("label", {}, [box, ` ${heading.querySelector(".label").textContent}`]));
      });
      controls.append(make("details", { className: "chooser columns" }, [make("summary", { textContent: "Columns" }), set]));
    }
    if (many) controls.append(status);
    sheet.prepend(controls);
    sheet.append(nothing);
    refresh();
  }
})();
