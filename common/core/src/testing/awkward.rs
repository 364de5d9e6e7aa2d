/// Ids of items as shops write them, and ids that look like keys, paths, formulas or other forms of such ids.
pub const AWKWARD_ITEMS: [&str; 22] = [
    "AB/12 x",
    "№5",
    "Größe-L",
    "#7",
    "りんご 緑",
    "a",
    "a#b",
    "a:b",
    "a%23b",
    "a%3Ab",
    "a%",
    "=1+1",
    "+49",
    "-x",
    "@x",
    "'=x",
    "'7",
    "~5",
    "\"q\",;\\",
    "..a/../b",
    "🍎?&=",
    "語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語語",
];

/// Ids of locations of the same kinds.
pub const AWKWARD_PLACES: [&str; 7] =
    ["Café 2", "b#c", "#1:2", "c", "b:c", "=3", "店店店店店店店店店店店店店店店店店店店店店店店店店店店店店店店店"];
