const INK = { name: "Ink", hex: "#2d3a4a" };
const MOSS = { name: "Moss", hex: "#5d7052" };
const CLAY = { name: "Clay", hex: "#c26a4a" };
const OAT = { name: "Oat", hex: "#d9c7a3" };
const SEA = { name: "Sea", hex: "#3f7f8c" };

export const CATEGORIES = [
  { id: "lighting", name: "Lighting", shape: "desk-lamp", colour: CLAY.hex },
  { id: "seating", name: "Seating", shape: "chair", colour: MOSS.hex },
  { id: "storage", name: "Storage", shape: "shelf", colour: INK.hex },
  { id: "kitchen", name: "Kitchen", shape: "kettle", colour: SEA.hex },
];

export const PRODUCTS = [
  product(
    "tern-desk-lamp",
    "Tern desk lamp",
    "lighting",
    8900,
    4.7,
    214,
    "desk-lamp",
    [CLAY, INK, MOSS],
    ["Small", "Large"],
    "Powder-coated steel, linen cord",
    3,
  ),
  product(
    "gull-desk-lamp",
    "Gull desk lamp",
    "lighting",
    6400,
    4.2,
    98,
    "desk-lamp",
    [SEA, OAT],
    ["One size"],
    "Aluminium, cotton cord",
    3,
  ),
  product(
    "pier-floor-lamp",
    "Pier floor lamp",
    "lighting",
    17900,
    4.8,
    131,
    "floor-lamp",
    [INK, OAT],
    ["Medium", "Tall"],
    "Ash, paper shade",
    5,
  ),
  product(
    "mast-floor-lamp",
    "Mast floor lamp",
    "lighting",
    22900,
    4.4,
    57,
    "floor-lamp",
    [CLAY, MOSS],
    ["Tall"],
    "Brass, linen shade",
    6,
  ),
  product(
    "buoy-pendant",
    "Buoy pendant",
    "lighting",
    12900,
    4.5,
    76,
    "pendant",
    [CLAY, SEA, OAT],
    ["Small", "Large"],
    "Spun steel",
    4,
  ),
  product(
    "quay-chair",
    "Quay chair",
    "seating",
    14900,
    4.6,
    187,
    "chair",
    [MOSS, INK, OAT],
    ["One size"],
    "Beech, woven seat",
    6,
  ),
  product(
    "cove-armchair",
    "Cove armchair",
    "seating",
    28900,
    4.9,
    64,
    "chair",
    [CLAY, SEA],
    ["One size"],
    "Oak, wool",
    9,
  ),
  product(
    "skiff-stool",
    "Skiff stool",
    "seating",
    5900,
    4.1,
    142,
    "stool",
    [INK, OAT, CLAY],
    ["Low", "Bar"],
    "Beech",
    4,
  ),
  product(
    "wharf-bench",
    "Wharf bench",
    "seating",
    19900,
    3.9,
    23,
    "stool",
    [MOSS],
    ["Two seats", "Three seats"],
    "Ash",
    9,
    false,
  ),
  product(
    "harbour-shelf",
    "Harbour shelf",
    "storage",
    11900,
    4.6,
    110,
    "shelf",
    [INK, OAT],
    ["Three boards", "Five boards"],
    "Pine, steel",
    6,
  ),
  product(
    "creel-basket",
    "Creel basket",
    "storage",
    3900,
    4.3,
    256,
    "basket",
    [OAT, MOSS],
    ["Small", "Medium", "Large"],
    "Willow",
    3,
  ),
  product(
    "locker-cabinet",
    "Locker cabinet",
    "storage",
    25900,
    4.0,
    31,
    "shelf",
    [SEA, CLAY],
    ["One size"],
    "Steel",
    9,
  ),
  product(
    "dinghy-kettle",
    "Dinghy kettle",
    "kitchen",
    7900,
    4.8,
    302,
    "kettle",
    [SEA, CLAY, INK],
    ["1.2 litre", "1.7 litre"],
    "Enamelled steel, beech handle",
    2,
  ),
  product(
    "galley-kettle",
    "Galley kettle",
    "kitchen",
    5400,
    4.0,
    88,
    "kettle",
    [OAT, MOSS],
    ["1.5 litre"],
    "Stainless steel",
    2,
  ),
  product(
    "anchor-mug",
    "Anchor mug",
    "kitchen",
    2200,
    4.7,
    411,
    "mug",
    [INK, CLAY, SEA, OAT],
    ["One", "Set of four"],
    "Stoneware",
    2,
  ),
];

function product(id, name, category, cents, rating, reviews, shape, colours, sizes, material, days, inStock = true) {
  return { id, name, category, cents, rating, reviews, shape, colours, sizes, material, days, inStock };
}

export const findProduct = (id) => PRODUCTS.find((item) => item.id === id);
export const formatPrice = (cents) => `$${(cents / 100).toFixed(2)}`;

/** A drawing of a product, as SVG. Decorative: the name stands beside it. */
export function art(shape, colour) {
  return `<svg class="art" viewBox="0 0 200 160" role="presentation" focusable="false"><ellipse cx="100" cy="146" rx="62" ry="7" fill="#00000014"/>${SHAPES[shape].replaceAll("COLOUR", colour)}</svg>`;
}

const SHAPES = {
  "desk-lamp":
    '<path d="M70 144h56v-7H70z" fill="COLOUR"/><path d="M98 138L74 84l46-38" fill="none" stroke="#333" stroke-width="5" stroke-linejoin="round"/><circle cx="74" cy="84" r="6" fill="#333"/><path d="M106 30l44 26-12 22-52-28z" fill="COLOUR"/><path d="M138 78l-40-22-22 60h86z" fill="#f6d98a55"/>',
  "floor-lamp":
    '<path d="M78 144h44v-6H78z" fill="#444"/><path d="M98 138h4V58h-4z" fill="#8a6a48"/><path d="M70 16h60l16 46H54z" fill="COLOUR"/><path d="M60 62h80l16 40H44z" fill="#f6d98a44"/>',
  pendant:
    '<path d="M99 0h2v46h-2z" fill="#333"/><path d="M100 44c34 0 52 26 54 54H46c2-28 20-54 54-54z" fill="COLOUR"/><circle cx="100" cy="102" r="11" fill="#f6d98a"/>',
  chair:
    '<path d="M66 20c20-8 48-8 68 0l-6 62H72z" fill="COLOUR"/><path d="M60 82h80v14H60z" fill="COLOUR" opacity=".85"/><path d="M64 96h7l-8 50h-7zM129 96h7l8 50h-7z" fill="#8a6a48"/>',
  stool:
    '<path d="M56 64h88v14H56z" fill="COLOUR"/><path d="M66 78h7l-9 68h-7zM127 78h7l9 68h-7zM66 112h68v5H66z" fill="#8a6a48"/>',
  shelf:
    '<path d="M50 16h6v130h-6zM144 16h6v130h-6z" fill="#444"/><path d="M46 40h108v8H46zM46 82h108v8H46zM46 124h108v8H46z" fill="COLOUR"/><path d="M66 18h9v22h-9zM77 22h8v18h-8zM112 62a10 10 0 0 1 20 0v20h-20zM68 104h28v20H68z" fill="#c9a26b"/>',
  basket:
    '<path d="M58 70h84l-10 74H68z" fill="COLOUR"/><path d="M62 90h76M64 108h72M67 126h66" stroke="#00000022" stroke-width="4"/><path d="M72 70c0-44 56-44 56 0" fill="none" stroke="#8a6a48" stroke-width="6"/>',
  kettle:
    '<path d="M60 66c10-20 70-20 80 0l10 70c-20 12-80 12-100 0z" fill="COLOUR"/><path d="M148 84l22-20-4 34-14 12z" fill="COLOUR" opacity=".85"/><path d="M66 60c0-52 68-52 68 0" fill="none" stroke="#8a6a48" stroke-width="7"/><circle cx="100" cy="50" r="6" fill="#333"/>',
  mug: '<path d="M58 50h72v82c0 8-6 14-14 14H72c-8 0-14-6-14-14z" fill="COLOUR"/><path d="M130 66c32-4 32 48 0 46" fill="none" stroke="COLOUR" stroke-width="10"/><ellipse cx="94" cy="50" rx="36" ry="7" fill="#00000033"/>',
};
