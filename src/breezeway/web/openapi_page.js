
"use strict";
// Everything from the document goes into the page as text, never as HTML.
(async () => {
  const make = (name, attributes, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
      else if (value === true) element.setAttribute(key, "");
      else if (value !== false && value !== undefined && value !== null) element.setAttribute(key, value);
    }
    for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) element.append(child);
    return element;
  };
  const address = document.body.dataset.document;
  let api;
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    api = await response.json();
  } catch (error) {
    document.body.append(make("p", {}, `The document at ${address} cannot be read: ${error.message}`));
    return;
  }

  // --- schemas -------------------------------------------------------------------------------------------
  const nameOf = (reference) => reference.split("/").pop().replaceAll("~1", "/").replaceAll("~0", "~");
  const resolved = (schema) => {
    for (let depth = 0; schema && schema.$ref && depth < 20; depth++) {
      let found = api;
      for (const key of schema.$ref.replace(/^#\//, "").split("/")) found = found?.[key.replaceAll("~1", "/").replaceAll("~0", "~")];
      schema = found;
    }
    return schema || {};
  };
  const bounds = (schema) => {
    const said = [];
    for (const [key, text] of [["format", ""], ["minimum", "from "], ["maximum", "to "], ["minLength", "length from "],
      ["maxLength", "length to "], ["minItems", "items from "], ["maxItems", "items to "], ["pattern", "matches "]])
      if (schema[key] !== undefined) said.push(text + schema[key]);
    if (schema.default !== undefined) said.push("default " + JSON.stringify(schema.default));
    return said.join(", ");
  };
  const typed = (schema) => {
    if (schema === undefined || schema === true) return ["any"];
    if (schema.$ref) return [make("a", { href: "#schema:" + nameOf(schema.$ref) }, nameOf(schema.$ref))];
    if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" | ")];
    if (schema.anyOf) return schema.anyOf.flatMap((each, at) => (at ? [" | "] : []).concat(typed(each)));
    if (schema.prefixItems) return ["[", ...schema.prefixItems.flatMap((each, at) => (at ? [", "] : []).concat(typed(each))), "]"];
    if (schema.type === "array") return ["list of ", ...typed(schema.items)];
    if (schema.type === "object" && typeof schema.additionalProperties === "object") return ["object of ", ...typed(schema.additionalProperties)];
    if (schema.contentMediaType) return ["file"];
    return [[].concat(schema.type || "any").join(" | ")];
  };
  const members = (schema) => make("ul", { class: "members" }, Object.entries(schema.properties || {}).map(([name, each]) =>
    make("li", {}, make("code", { class: (schema.required || []).includes(name) ? "required" : null }, name), " ", ...typed(each),
      " ", make("span", { class: "soft" }, bounds(each)), each.properties ? members(each) : null)));
  const example = (schema, seen = []) => {
    if (!schema || schema === true) return null;
    if (schema.default !== undefined) return schema.default;
    if (schema.examples) return schema.examples[0];
    if (schema.$ref) return seen.includes(schema.$ref) ? null : example(resolved(schema), [...seen, schema.$ref]);
    if (schema.enum) return schema.enum[0];
    if (schema.anyOf) return example(schema.anyOf[0], seen);
    if (schema.prefixItems) return schema.prefixItems.map((each) => example(each, seen));
    if (schema.type === "array") { const item = example(schema.items, seen); return item === null ? [] : [item]; }
    if (schema.type === "object" || schema.properties)
      return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, each]) => [name, example(each, seen)]));
    if (schema.type === "integer" || schema.type === "number") return schema.minimum ?? 0;
    if (schema.type === "boolean") return false;
    const formats = { date: "2026-01-31", "date-time": "2026-01-31T12:00:00Z", time: "12:00:00", decimal: "0.00",
      uuid: "00000000-0000-4000-8000-000000000000" };
    return schema.type === "string" ? formats[schema.format] || "text" : null;
  };

  // --- one operation -------------------------------------------------------------------------------------
  const field = (name, schema, attributes = {}) => {
    const own = resolved((schema.anyOf || []).find((each) => each.type !== "null") || schema);
    const item = own.type === "array" ? resolved(own.items) : own;
    const label = { "aria-label": name, name, ...attributes };
    if (own.contentMediaType || item.contentMediaType) return make("input", { type: "file", multiple: own.type === "array", ...label });
    if (own.enum) return make("select", label, make("option", { value: "" }), own.enum.map((value) => make("option", {}, String(value))));
    if (own.type === "array") return make("textarea", { placeholder: "one on each line", "data-many": true, ...label });
    return make("input", { value: own.default ?? "", placeholder: [].concat(own.type || "").join(" | "), autocomplete: "off", ...label });
  };
  const texts = (input) => (input.dataset.many !== undefined ? input.value.split("\n") : [input.value]).filter((each) => each !== "");

  const tryOut = (method, path, operation, parameters) => {
    const bodies = Object.entries(operation.requestBody?.content || {});
    const [media, body] = bodies[0] || [];
    const schema = resolved(body?.schema);
    const isForm = media && media !== "application/json";
    const inputs = parameters.map((each) => [each, field(each.name, each.schema || {})]);
    const text = media && !isForm ? make("textarea", { "aria-label": "body", spellcheck: "false" }, JSON.stringify(example(body.schema), null, 2)) : null;
    const fields = isForm ? Object.entries(schema.properties || {}).map(([name, each]) => [name, field(name, each)]) : [];
    const credentials = Object.keys(api.components?.securitySchemes || {}).length
      ? make("input", { "aria-label": "Authorization", placeholder: "Authorization, such as Bearer ...", autocomplete: "off" }) : null;
    const out = make("div", { role: "status" });
    const send = async (event) => {
      event.preventDefault();
      let url = path;
      const query = new URLSearchParams(), headers = {};
      for (const [parameter, input] of inputs) {
        const values = texts(input);
        if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, values.map(encodeURIComponent).join(","));
        else if (parameter.in === "query") for (const value of values) query.append(parameter.name, value);
        else if (parameter.in === "header" && values.length) headers[parameter.name] = values.join(", ");
      }
      if (credentials?.value) headers.Authorization = credentials.value;
      let content;
      if (text) { content = text.value; headers["Content-Type"] = media; }
      if (isForm) {
        content = media === "multipart/form-data" ? new FormData() : new URLSearchParams();
        for (const [name, input] of fields)
          for (const value of input.type === "file" ? input.files : texts(input)) content.append(name, value);
      }
      const base = (api.servers?.[0]?.url || "").replace(/\/$/, "");
      const target = base + url + (query.size || String(query) ? "?" + query : "");
      const began = performance.now();
      out.replaceChildren(make("p", { class: "soft" }, "..."));
      try {
        const response = await fetch(target, { method: method.toUpperCase(), headers, body: content, redirect: "follow" });
        const kind = response.headers.get("Content-Type") || "";
        const isText = /json|text|xml|javascript|urlencoded/.test(kind);
        let shown = isText ? await response.text() : `${(await response.blob()).size} bytes of ${kind || "no type"}`;
        if (kind.includes("json")) try { shown = JSON.stringify(JSON.parse(shown), null, 2); } catch { /* as it is */ }
        out.replaceChildren(
          make("h3", {}, `${response.status} ${response.statusText}`, make("span", { class: "soft" }, ` ${Math.round(performance.now() - began)} ms`)),
          make("p", { class: "path" }, `${method.toUpperCase()} ${target}`),
          make("pre", {}, [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n")), make("pre", {}, shown));
      } catch (error) { out.replaceChildren(make("p", {}, `No response: ${error.message}`)); }
    };
    const cells = (input, name, required, said, schema) => make("tr", {}, make("td", {}, make("code", { class: required ? "required" : null }, name)),
      make("td", {}, said), make("td", {}, typed(schema), make("div", { class: "soft" }, bounds(schema))), make("td", {}, input));
    const rows = [...inputs.map(([each, input]) => cells(input, each.name, each.required, each.in, each.schema || {})),
      ...fields.map(([name, input]) => cells(input, name, (schema.required || []).includes(name), "form", schema.properties[name]))];
    return make("form", { on: { submit: send } },
      rows.length ? make("table", {}, make("thead", {}, make("tr", {}, ["Name", "In", "Type", "Value"].map((each) => make("th", {}, each)))), make("tbody", {}, rows)) : null,
      text ? [make("h3", {}, "Body ", make("span", { class: "soft" }, media, " "), typed(body.schema)), text] : null,
      credentials, make("p", {}, make("button", {}, "Send")), out);
  };

  const shown = (method, path, operation, shared) => {
    const parameters = [...shared, ...(operation.parameters || [])].map(resolved);
    const responses = Object.entries(operation.responses || {}).map(([status, each]) => [status, resolved(each)]);
    const details = make("details", { id: "operation:" + operation.operationId, class: operation.deprecated ? "deprecated" : null },
      make("summary", {}, make("span", { class: "method " + method }, method), make("span", { class: "path" }, path),
        make("span", { class: "soft" }, operation.summary || "")));
    details.addEventListener("toggle", () => {
      if (!details.open || details.dataset.made) return;
      details.dataset.made = "1";
      details.append(make("div", { class: "inside" }, operation.description ? make("p", { class: "text" }, operation.description) : null,
        tryOut(method, path, operation, parameters), make("h3", {}, "Responses"),
        make("table", {}, make("tbody", {}, responses.map(([status, each]) => make("tr", {}, make("td", {}, make("code", {}, status)),
          make("td", {}, each.description || ""), make("td", {}, Object.entries(each.content || {}).map(([media, content]) =>
            make("div", {}, make("span", { class: "soft" }, media, " "), typed(content.schema))))))))));
    });
    return details;
  };

  // --- the page ------------------------------------------------------------------------------------------
  const groups = new Map((api.tags || []).map((each) => [each.name, { said: each.description, operations: [] }]));
  for (const [path, item] of Object.entries(api.paths || {}))
    for (const method of ["get", "post", "put", "patch", "delete", "head", "options", "trace"]) {
      const operation = item[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] || "";
      if (!groups.has(tag)) groups.set(tag, { operations: [] });
      groups.get(tag).operations.push({ method, path, operation, shared: item.parameters || [] });
    }
  const links = make("div"), content = make("div"), entries = [];
  for (const [tag, group] of groups) {
    if (!group.operations.length) continue;
    const heading = make("h2", {}, tag || "Operations"), section = make("section", {}, heading.cloneNode(true),
      group.said ? make("p", { class: "text" }, group.said) : null);
    links.append(heading);
    content.append(section);
    for (const { method, path, operation, shared } of group.operations) {
      const link = make("a", { href: "#operation:" + operation.operationId }, make("span", { class: "method " + method }, method), make("span", {}, path));
      const details = shown(method, path, operation, shared);
      entries.push({ words: `${method} ${path} ${operation.summary || ""} ${tag}`.toLowerCase(), link, details });
      links.append(link);
      section.append(details);
    }
  }
  const schemas = Object.entries(api.components?.schemas || {});
  if (schemas.length) content.append(make("section", {}, make("h2", {}, "Schemas"), schemas.map(([name, schema]) =>
    make("details", { id: "schema:" + name }, make("summary", {}, make("code", {}, name)), make("div", { class: "inside" },
      schema.description ? make("p", { class: "text" }, schema.description) : null, schema.properties ? members(schema) : typed(schema))))));
  const filter = make("input", { type: "search", placeholder: "Filter", "aria-label": "Filter operations", on: { input: () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const each of entries) each.link.hidden = each.details.hidden = !words.every((word) => each.words.includes(word));
  } } });
  document.body.append(make("div", { class: "frame" }, make("nav", { "aria-label": "Operations" }, filter, links),
    make("main", {}, make("h1", {}, api.info.title, " ", make("small", { class: "soft" }, api.info.version)),
      api.info.description ? make("p", { class: "text" }, api.info.description) : null,
      make("p", {}, make("a", { href: address }, "OpenAPI " + api.openapi)), content)));
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
})();
