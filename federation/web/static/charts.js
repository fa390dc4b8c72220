/* Draws every <figure data-chart>: the option of ECharts stands beside it as JSON, and its numbers as a table. */
(function () {
  "use strict";

  const quiet = window.matchMedia("(prefers-reduced-motion: reduce)");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function axis(given) {
    if (!given) return given;
    const line = { lineStyle: { color: colour("--line") } };
    return Object.assign(
      {
        axisLine: { lineStyle: { color: colour("--muted") } },
        axisLabel: { color: colour("--muted"), hideOverlap: true },
        nameTextStyle: { color: colour("--muted") },
        nameLocation: "middle",
        nameGap: 30,
        splitLine: Object.assign({ show: given.type === "value" }, line),
      },
      given
    );
  }

  /* The page's colours and type. The tooltip is drawn, not written as markup: its inline style would be refused. */
  function themed(given) {
    const ink = colour("--ink"), paper = colour("--paper"), muted = colour("--muted");
    const option = Object.assign({}, given);
    option.animation = !quiet.matches;
    option.backgroundColor = "transparent";
    option.color = ["--chart1", "--chart2", "--chart3", "--chart4", "--chart5", "--chart6"].map(colour);
    option.textStyle = { color: ink, fontFamily: getComputedStyle(document.body).fontFamily };
    option.tooltip = Object.assign(
      {
        renderMode: "richText",
        confine: true,
        backgroundColor: paper,
        borderColor: muted,
        textStyle: { color: ink, fontSize: 13, fontFamily: getComputedStyle(document.body).fontFamily },
      },
      given.tooltip
    );
    option.legend = Object.assign({ top: 0, textStyle: { color: ink } }, given.legend);
    if (given.xAxis) {
      option.xAxis = axis(given.xAxis);
      option.yAxis = axis(given.yAxis);
      option.grid = Object.assign(
        { left: 12, right: 20, top: option.legend.show === false ? 16 : 40, bottom: given.visualMap ? 60 : 12,
          outerBoundsMode: "same", outerBoundsContain: "all" },
        given.grid
      );
    }
    if (given.visualMap) {
      option.visualMap = Object.assign(
        { calculable: false, itemHeight: 160, textStyle: { color: muted },
          inRange: { color: [colour("--below"), colour("--paper"), colour("--above")] } },
        given.visualMap
      );
    }
    option.series = (given.series || []).map(function (series) {
      const found = Object.assign({}, series);
      if (series.type === "bar") found.barMaxWidth = 28;
      if (["funnel", "sankey", "heatmap"].includes(series.type)) {
        found.label = Object.assign({ color: ink, textBorderWidth: 0, fontSize: 13 }, series.label);
      }
      if (series.type === "funnel") {
        found.itemStyle = { color: colour("--chart1"), borderColor: paper, borderWidth: 2 };
        Object.assign(found, { left: 0, right: "30%", top: 8, bottom: 8 });
      }
      return found;
    });
    return option;
  }

  function draw(figure) {
    const source = figure.querySelector('script[type="application/json"]');
    const box = figure.querySelector(".chart");
    if (!source || !box) return;
    let chart = drawn.get(figure);
    if (!chart) {
      box.hidden = false;
      chart = window.echarts.init(box, null, { renderer: "canvas" });
      drawn.set(figure, chart);
      new ResizeObserver(function () { chart.resize(); }).observe(box);
    }
    chart.setOption(themed(JSON.parse(source.textContent)), true);
  }

  function drawAll(root) {
    for (const figure of drawn.keys()) {
      if (!figure.isConnected) {
        drawn.get(figure).dispose();
        drawn.delete(figure);
      }
    }
    root.querySelectorAll("figure[data-chart]").forEach(draw);
  }

  document.addEventListener("DOMContentLoaded", function () { drawAll(document); });
  document.addEventListener("htmx:load", function (event) { drawAll(event.detail.elt.parentNode || document); });
  dark.addEventListener("change", function () { drawAll(document); });
})();
