// Slides of a lesson. What is higher than the screen is scrolled. ?print-pdf gives pages for paper.
Reveal.initialize({
  hash: true, slideNumber: "c/t", transition: "none", center: false, width: 1120, height: 720,
  margin: 0.04, minScale: 0.2, maxScale: 2, pdfSeparateFragments: false,
});
