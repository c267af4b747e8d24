// ---- the page's own renderer draws the charts: js/draw

const chartIn = (node, element, spec, values) => new Chart(node, spec, values, [`total_${element.name}`, `tall_${element.name}`]);
