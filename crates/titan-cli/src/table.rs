use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Rows for people: headings, no lines.
pub(crate) fn show<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(headings);
    let mut empty = true;
    for row in rows {
        empty = false;
        table.add_row(row);
    }
    if empty { println!("none yet") } else { println!("{}", table.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")) }
}

/// The first behind what they are, the others below it; nothing when there are none.
pub(crate) fn list(what: &str, items: impl IntoIterator<Item = String>) {
    for (row, item) in items.into_iter().enumerate() {
        println!("{:<11} {item}", if row == 0 { what } else { "" });
    }
}

/// The beginning of a commit's id, as every command takes it.
pub(crate) fn commit(value: &Value, field: &str) -> String {
    text(value, field).chars().take(12).collect()
}

/// A text field; empty when it is not there.
pub(crate) fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// At most `most` characters, cut at the end.
pub(crate) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

/// `2026-11-21T08:15:02.123Z` → `2026-11-21 08:15:02`
pub(crate) fn time(value: &Value, field: &str) -> String {
    text(value, field).chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}
