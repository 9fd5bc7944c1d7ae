/* A film's page also shows what happened and the download: load it again at the film's end. */
document.addEventListener("seedance:change", (event) => {
  if (event.detail.is_finished && event.detail.stored !== "storing") location.reload();
});
