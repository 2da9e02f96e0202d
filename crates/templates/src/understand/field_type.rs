//! What a field holds, by the words of its name.

use super::words;
use crate::FieldType;

/// What a number counts, which its field does not say.
pub(crate) const UNITS: &[&str] = &[
    "seconds",
    "minutes",
    "hours",
    "days",
    "weeks",
    "months",
    "years",
    "meters",
    "metres",
    "kilometers",
    "kilometres",
    "km",
    "miles",
    "grams",
    "kg",
    "kilograms",
    "euros",
    "dollars",
    "cents",
    "percent",
    "degrees",
    "celsius",
    "bytes",
    "cm",
    "mm",
    "m",
    "m2",
    "ml",
    "g",
    "liters",
    "litres",
    "kilos",
    "€",
    "millilitres",
    "milliliters",
    "tons",
    "square metres",
    "square meters",
    "hectares",
    "tonnes",
    "pounds",
    "milligrams",
    "microlitres",
    "microliters",
    "µl",
    "millimetres",
    "millimeters",
    "centimetres",
    "centimeters",
    "litre",
    "liter",
    "watts",
    "volts",
    "mg",
    "square kilometres",
    "kw",
    "kwh",
    "ppm",
    "hpa",
    "bpm",
];

/// A type said in so many words.
pub(crate) fn type_named(word: &str) -> Option<FieldType> {
    Some(match word {
        "text" | "string" | "str" => FieldType::Text,
        "integer" | "int" | "whole number" => FieldType::Integer,
        "number" | "decimal" | "dec" | "decimal number" | "float" | "money" => FieldType::Number,
        "boolean" | "bool" | "flag" | "yes/no" | "y/n" | "yes or no" | "true/false" => FieldType::Boolean,
        "date" => FieldType::Date,
        "datetime" | "timestamp" | "date and time" => FieldType::Datetime,
        "email" | "e-mail" => FieldType::Email,
        "url" | "link" => FieldType::Url,
        _ => return None,
    })
}

const BOOLEANS: &[&str] = &[
    "furnished",
    "vaccinated",
    "claimed",
    "electric",
    "vegetarian",
    "vegan",
    "discontinued",
    "automatic",
    "insured",
    "returned",
    "shipped",
    "delivered",
    "approved",
    "resolved",
    "done",
    "completed",
    "complete",
    "finished",
    "active",
    "enabled",
    "archived",
    "published",
    "paid",
    "available",
    "favorite",
    "favourite",
    "read",
    "verified",
    "bought",
    "public",
];
pub(super) const DATES: &[&str] = &["date", "birthday", "birthdate", "deadline", "day", "anniversary"];
pub(super) const DATETIMES: &[&str] = &["time", "datetime", "timestamp", "start", "end"];
pub(super) const INTEGERS: &[&str] = &[
    "count", "quantity", "age", "year", "number", "stock", "streak", "priority", "pages", "size", "seats", "floor", "points", "score",
    "minutes", "hours", "duration", "calories", "servings", "capacity", "level", "copies", "interval", "days", "seconds", "weeks",
    "months", "reps", "sets", "goals", "laps", "qty", "wins", "losses",
];
pub(super) const NUMBERS: &[&str] = &[
    "price",
    "amount",
    "cost",
    "rating",
    "weight",
    "height",
    "width",
    "length",
    "total",
    "balance",
    "salary",
    "latitude",
    "longitude",
    "temperature",
    "distance",
    "percentage",
    "rate",
    "budget",
    "rent",
    "fee",
    "wage",
    "deposit",
    "area",
    "surface",
    "speed",
    "litres",
    "liters",
    "kilograms",
    "kg",
    "grams",
    "km",
    "kilometres",
    "kilometers",
    "kwh",
    "estimate",
    "humidity",
    "pressure",
    "mileage",
    "discount",
    "depth",
    "volume",
    "revenue",
    "tax",
    "tip",
    "dose",
    "mass",
    "fare",
    "toll",
    "premium",
    "altitude",
    "elevation",
    "voltage",
    "millimetres",
    "millimeters",
    "centimetres",
    "metres",
    "meters",
    "miles",
    "hectares",
    "value",
    "surcharge",
    "charge",
    "bonus",
    "commission",
    "penalty",
    "conductivity",
    "tonnes",
    "tons",
    "magnitude",
    "milligrams",
    "ph",
    "odometer",
    "oxygen",
    "co2",
    "salinity",
    "moisture",
];
const TEXTS: &[&str] = &[
    "id",
    "title",
    "name",
    "description",
    "content",
    "body",
    "text",
    "note",
    "notes",
    "address",
    "author",
    "status",
    "category",
    "isbn",
    "phone",
    "color",
    "colour",
    "type",
    "genre",
    "brand",
    "model",
    "city",
    "country",
    "street",
    "location",
    "comment",
    "summary",
    "label",
    "tag",
    "message",
    "subject",
    "code",
    "sku",
    "barcode",
    "owner",
    "assignee",
    "company",
    "department",
    "director",
    "artist",
    "album",
    "language",
    "species",
    "breed",
    "manufacturer",
    "publisher",
    "nickname",
    "username",
    "zip",
    "class",
    "instructions",
    "position",
    "currency",
    "place",
    "destination",
    "sensor",
];

/// What has a number that nobody counts with: "a room number".
const NUMBERED: &[&str] = &[
    "phone",
    "serial",
    "order",
    "account",
    "card",
    "license",
    "tracking",
    "room",
    "part",
    "flight",
    "passport",
    "isbn",
    "frame",
    "invoice",
    "vat",
    "house",
    "registration",
    "licence",
    "tax",
    "plate",
    "permit",
    "ticket",
    "member",
    "membership",
    "policy",
    "contract",
    "case",
    "chassis",
    "accession",
    "ring",
    "inventory",
    "batch",
    "locker",
    "cas",
    "chip",
    "pzn",
    "vin",
    "reference",
    "patient",
    "insurance",
    "mobile",
    "telephone",
    "driving",
    "identity",
    "employee",
    "student",
    "customer",
    "lot",
    "unit",
    "meter",
    "imo",
    "norad",
    "microchip",
];

/// The type, and whether the words say it. Takes words off that only name the type.
pub(super) fn type_of(words: &mut Vec<&str>, given: Option<FieldType>) -> Option<(FieldType, bool)> {
    if let Some(given) = given {
        return Some((given, true));
    }
    let last = *words.last()?;
    if ["flag", "boolean", "checkbox", "toggle", "string", "integer", "float", "decimal", "dec"].contains(&last) {
        words.pop();
        let named = type_named(if ["checkbox", "toggle"].contains(&last) { "flag" } else { last })?;
        return (!words.is_empty()).then_some((named, true));
    }
    // "a duration number": it is one anyway.
    if words.len() > 1 && last == "number" {
        let measured = words[words.len() - 2];
        for (list, field_type) in [(INTEGERS, FieldType::Integer), (NUMBERS, FieldType::Number)] {
            if list.contains(&measured) && measured != "number" {
                words.pop();
                return Some((field_type, true));
            }
        }
    }
    // "is done": the verb is not part of the name; "integer age": neither is the type.
    if words.len() > 1 && words[0] == "is" {
        words.remove(0);
        return Some((FieldType::Boolean, true));
    }
    if words.len() > 1
        && let Some(named) = type_named(words[0]).filter(|t| !matches!(t, FieldType::Email | FieldType::Url | FieldType::Date))
        && !["number", "flag", "text"].contains(&words[0])
    {
        words.remove(0);
        return Some((named, true));
    }
    if ["email", "e-mail"].iter().any(|email| last.ends_with(email))
        || (words.iter().any(|w| w.contains("mail")) && (last == "address" || words.contains(&"address")))
    {
        return Some((FieldType::Email, true));
    }
    if ["number", "phone", "plate"].contains(&last) && (last != "number" || NUMBERED.iter().any(|w| words.contains(w))) {
        return Some((FieldType::Text, true));
    }
    let lists = [
        (BOOLEANS, FieldType::Boolean),
        (DATETIMES, FieldType::Datetime),
        (DATES, FieldType::Date),
        (INTEGERS, FieldType::Integer),
        (NUMBERS, FieldType::Number),
        (TEXTS, FieldType::Text),
        (&["url", "link", "website", "homepage"], FieldType::Url),
    ];
    // "max participants" are counted.
    if words.len() > 1 && ["min", "max"].contains(&words[0]) && words::is_many(last) {
        return Some((FieldType::Integer, true));
    }
    // "a cooking time": how long it takes.
    const LASTING: &[&str] = &["cooking", "preparation", "prep", "baking", "waiting", "running", "travel", "response", "playing", "lead"];
    if words.len() > 1 && last == "time" && LASTING.contains(&words[words.len() - 2]) {
        return Some((FieldType::Integer, true));
    }
    // "due back"
    if words.len() == 2 && words[0] == "due" {
        return Some((FieldType::Date, true));
    }
    // "date out"
    if words.len() == 2 && words[0] == "date" {
        return Some((FieldType::Date, true));
    }
    if let Some(field_type) = by_end(words, last) {
        return Some((field_type, true));
    }
    // "year of publication": what it is stands before, too.
    let of = words.iter().position(|word| ["of", "per"].contains(word)).filter(|at| *at > 0);
    if let Some((_, field_type)) = of.and_then(|at| lists.iter().find(|(list, _)| list.contains(&words[at - 1]))) {
        return Some((*field_type, true));
    }
    // "year published", "amount paid": what it is stands before.
    let before = words.len().checked_sub(2).map(|at| words[at]);
    let last = before
        .filter(|word| {
            (BOOLEANS.contains(&last)
                || last.ends_with("ed")
                || ["built", "made", "sold", "lent", "due", "sent", "taken", "paid", "bought", "found", "given", "born", "seen", "held"]
                    .contains(&last))
                && lists[1..5].iter().any(|(list, _)| list.contains(word))
        })
        .unwrap_or(last);
    let known = lists.iter().find(|(list, _)| list.contains(&last)).map(|(_, field_type)| (*field_type, true));
    Some(known.unwrap_or((FieldType::Text, false)))
}

/// "measured at", "session start", "valid until": what stands last says it, or before it.
fn by_end(words: &[&str], last: &str) -> Option<FieldType> {
    let before = *words.len().checked_sub(2).and_then(|at| words.get(at))?;
    match last {
        _ if last == "at" || before == "at" => Some(FieldType::Datetime),
        "start" | "end" => Some(FieldType::Datetime),
        // "duration_ms", "rollout percent"
        "ms" | "s" | "sec" | "percent" | "pct" | "bytes" | "mb" | "gb" | "min" | "mins" | "secs" => Some(FieldType::Integer),
        // "valid from", "installed on", "last watered"
        "from" | "until" | "to" | "till" | "on" => Some(FieldType::Date),
        _ if words[0] == "last" && last.ends_with("ed") => Some(FieldType::Date),
        _ => None,
    }
}
