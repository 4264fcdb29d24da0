"""The plane of latents: a square to drag over in the browser, as an element of the page."""

from stylegan_tf.explorer.view import PLANE_SIZE

TEMPLATE = '<div class="plane" tabindex="0" role="slider" aria-label="Plane of latents"><div class="spot"></div></div>'

CSS = """
.plane { position: relative; width: 100%; aspect-ratio: 1; max-width: 260px; touch-action: none; cursor: crosshair;
  border: 1px solid #8888; border-radius: 4px;
  background: repeating-linear-gradient(0deg, #8882 0 1px, transparent 1px 11.11%),
              repeating-linear-gradient(90deg, #8882 0 1px, transparent 1px 11.11%); }
.spot { position: absolute; width: 14px; height: 14px; margin: -7px; border-radius: 50%; background: #f60;
  border: 2px solid white; box-shadow: 0 0 3px #000a; pointer-events: none; }
"""

# The value is "x,y"; positions near a whole number of both snap to it: there the picture is that of a seed.
SCRIPT = """
const size = SIZE;
const now = () => String(props.value || '0,0').split(',').map(Number);
const place = () => {
  const spot = element.querySelector('.spot'), [x, y] = now();
  if (spot) { spot.style.left = 100 * x / size + '%'; spot.style.top = 100 * y / size + '%'; }
};
const go = (position) => {
  props.value = position.map((number) => Number(Math.min(size, Math.max(0, number)).toFixed(3))).join(',');
  place(); trigger('input');
};
const drag = (event) => {
  const box = element.querySelector('.plane').getBoundingClientRect();
  const position = [(event.clientX - box.left) / box.width * size, (event.clientY - box.top) / box.height * size];
  const whole = position.map(Math.round);
  go(position.every((number, axis) => Math.abs(number - whole[axis]) < 0.12) ? whole : position);
};
element.addEventListener('pointerdown', (event) => { element.setPointerCapture(event.pointerId); drag(event); });
element.addEventListener('pointermove', (event) => { if (event.buttons) drag(event); });
element.addEventListener('keydown', (event) => {
  const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
  if (!step) return;
  event.preventDefault();
  go(now().map((number, axis) => Math.round(number) + step[axis]));
});
watch('value', place); place();
""".replace("SIZE", str(PLANE_SIZE))


def parse_position(text: str) -> tuple[float, float]:
    """What the browser sends, "x,y" -> numbers within the plane; (0, 0) for anything else."""
    try:
        x, y = (min(float(PLANE_SIZE), max(0.0, float(number))) for number in str(text).split(","))  # NaN becomes 0.
    except ValueError:
        return 0.0, 0.0
    return x, y
