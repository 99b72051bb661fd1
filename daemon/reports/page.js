// Draws the charts, and shows candles instead of a line where few enough of them are in view.
"use strict";
window.addEventListener("DOMContentLoaded", async () => {
  const CANDLES_MAX = 400;
  const item = JSON.parse(document.getElementById("charts-document").textContent);
  const views = await Bokeh.embed.embed_item(item);
  const root = Bokeh.documents[0].roots()[0];
  const time = Bokeh.documents[0].get_model_by_name("time");
  const whole = [time.start, time.end];
  const prices = root.children.filter((each) => each.name && each.name.startsWith("price:"));
  const choose = () => {
    for (const chart of prices) {
      const line = chart.renderers.find((each) => each.name === "line");
      const times = line.data_source.data.t;
      let shown = 0;
      for (const each of times) {
        if (each >= time.start && each <= time.end) shown += 1;
      }
      const isNear = shown <= CANDLES_MAX;
      line.visible = !isNear;
      for (const each of chart.renderers) {
        if (each.name === "candle") each.visible = isNear;
      }
    }
  };
  let due = 0;
  const soon = () => { clearTimeout(due); due = setTimeout(choose, 60); };
  time.properties.start.change.connect(soon);
  time.properties.end.change.connect(soon);
  choose();
  document.getElementById(item.target_id).addEventListener("dblclick", () => {
    time.setv({ start: whole[0], end: whole[1] });
  });
  document.documentElement.dataset.drawn = String(views !== undefined);
});
