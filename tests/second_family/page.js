function drawModel(place, { final }) {
  place.append(`final: ${final.length} numbers`);
}
