//! Whether each word of a sentence is somewhere in what was understood of it, or in what is said not to be: what is in neither was lost on the way.

use super::words;
use crate::{Block, Field, FieldType};

/// Words that say nothing of what is to be built, or only in which form.
const NEUTRAL: &str = "\
    a able about above across actually add additional admin administer admins after afterwards again agency all allow allowed allows \
    almost along already also always among an and android another any anybody anymore anyone anything anywhere api apis app applicant \
    applicants application applications apps are around as asap ask asked assigned at attribute attributes auction available away \
    awesome back backend backends bad bakery band based basic basically be because become becomes been before behind being belong belongs below \
    beside besides better between bit blank blog board book bool boolean booleans borrow both box btw build building business but button by cafe \
    café call called can cannot catalog catalogue cell cellar celsius cents chain change char character characters charity chars check \
    cheers choir church city class clean clear client clients clinic club coach coaches collection column columns committee common company \
    complete comprising conference consist consists contain containing contains convert cool could council create created crm crud csv \
    current currently daily dashboard data database date dates datetime day days dear decimal default delete department describe design \
    details develop device devices diary different digit digits directory display do does dollar dollars done down drop drops due \
    duplicate duplicates each earlier easily easy edit either eliminate else empty endpoint endpoints enter entity entries entry enum \
    especially estate etc etl euro euros even ever every everybody everyone everything everywhere exactly excel existing export exports \
    expose extract factory false family farm feature features ferry fetch field fields file files filled finally find first firstly flag \
    fleet float folks follow following forgot for form forced format forum free from full further furthermore fyi garage garden generate get gets gimme \
    give given go good grams great greater grocery group guest guys gym handy had handle has have having he health hectares hello help helpdesk \
    her here hereby hey hi high higher him his hold home hospital hotel hour hourly hours house household how however hundred i id if \
    implement import imports in include included including individual info information ingest inside instead int integer integers \
    interface into introduce introduced invalid inventory ios iphone is it item items its itself job jobs journal json just keep keeping kept kg kind kindly \
    kinds km knock know known large larger last lastly later league least left lend length less let letters library like limit limited link \
    linking links list listed lists little liveness living load loads located log long longer look looking lose lot lots love lovely lower made \
    mainly maintain make makes manage managed management manager managing mandatory many mark mate mates max maximum may me mean meant \
    meanwhile member members meters metres metrics micro microservice min minimum minutes mistake mobile model money moderator moderators modern \
    modify month monthly more moreover morning most mostly much multiple museum must my name named names neat need needed needing needs \
    negative neighborhood neighbourhood never new nice night nightly no nobody none not notebook now nowadays null nullable number numbers \
    nursery of off offer office offline often ok okay on once one ones online only open optional optionally or order organise organize \
    organizer other others our out over own packing paper parish part participant participants people per percent percentage permit \
    pipeline place plain planner platform please pls plz dec opt uniq pls plus point points portal positive possible post posts pounds practice prepare present \
    previously probe probes process program project prometheus property provide provides publish purchase put quick quite range rather \
    read readiness reading real really record records register registered registering registry reject rejected related remainder remove \
    removed rename rent replace replaced replaces reported require required requires resource resources rest restaurant restful restrict \
    result results rid right row rows run runs said say says salon same save schedule scheduled school second secondly seconds see sell send \
    separate server service services set several shall share shared sharing she shelter shop shopping short should show shown shows simple \
    simply single site skip skipped small so society some somebody someone something sometimes somewhere soon sort specified spreadsheet \
    spreadsheets square staff standard start startup state still store stored stores storing string studio such support supporting swap \
    switch sync syncs system table tablet take task team tell telling text than thank thanks that the their them then there these they \
    thing things this those through throw thx tick time times timestamp timestamps tired to today todo together too tool track tracked \
    tracker tracking true turn two type types under unique university unless until up update upper url us use used user users using \
    usually valid validate validated validates value values various version very via view village vineyard visitor visitors volunteer \
    volunteers want wanted wants warehouse was way we web webapp website week weekly well were what when whenever where whereby whether \
    which while who whole whom whose why wiki will wish with within without wonderful word work working works workshop would write wrong \
    yes yet you your zero";

/// Words that ask for a part of a project.
fn of_block(block: Block) -> &'static str {
    match block {
        Block::Authentication => {
            "login log logs logged in sign signed signs up in register registered registration account accounts password passwords auth authenticate \
             authenticated authentication authorized token access private privately theirs secure"
        }
        Block::Search => "search searches searchable searching find finds finding look full-text filter box bar",
        Block::Pagination => "pagination paginate paginated paging page pages",
        Block::FileUpload => {
            "file files upload uploads uploaded uploading attach attached attachment attachments photo photos picture pictures image images document \
             documents pdf pdfs scan scans receipt receipts cv cvs screenshot screenshots profile cover"
        }
        Block::Websocket => {
            "live real real-time realtime websocket websockets update updates updated push pushed pushes notify notified instantly immediately refresh refreshes \
             automatically connected watching subscribe everyone appear changes happens straight"
        }
        Block::Payment => "payment payments pay pays paid paying card credit debit checkout stripe money buy buyers customer customers",
    }
}

/// What blocks are asked for with.
pub(crate) fn of_blocks(blocks: &[Block]) -> String {
    blocks.iter().map(|block| of_block(*block)).collect::<Vec<_>>().join(" ")
}

/// What fields are said with: their names, values and bounds.
pub(crate) fn of_fields<'a>(fields: impl IntoIterator<Item = &'a Field>) -> String {
    let of_field = |field: &Field| {
        // "greater than 0" is at least 1.
        let beyond =
            |bound: f64, away: f64| if field.field_type == FieldType::Number { (bound + away / 2.0).round() } else { bound + away };
        let bounds = [field.least.map(|least| [least, beyond(least, -1.0)]), field.most.map(|most| [most, beyond(most, 1.0)])];
        let mut said = vec![field.name.clone(), field.choices.join(" ")];
        said.extend(bounds.into_iter().flatten().flatten().map(|bound| bound.to_string()));
        said.extend(field.default.as_ref().map(ToString::to_string));
        said.join(" ")
    };
    fields.into_iter().map(of_field).collect::<Vec<_>>().join(" ")
}

/// The words and numbers of the sentence that are not in `known`. Who does something with a part is nothing of it: "cooks should upload a photo".
pub(crate) fn lost(sentence: &str, known: &str) -> Vec<String> {
    let known: Vec<String> = words_of(known);
    let mut lost: Vec<String> = Vec::new();
    let said: Vec<String> =
        words_of(sentence).into_iter().skip_while(|word| ["the", "our", "all", "my"].contains(&word.as_str())).collect();
    let does =
        said.get(1).is_some_and(|verb| ["should", "must", "can", "may", "need", "want", "have", "will", "could"].contains(&verb.as_str()));
    let who = usize::from(does && said.first().is_some_and(|who| words::is_many(who)));
    for word in said.into_iter().skip(who) {
        let one = words::singular(&word);
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        let short = word.len() < 3 && !number;
        let neutral = short || word.contains('\'') || NEUTRAL.split_whitespace().any(|neutral| neutral == word || neutral == one);
        if !neutral && !lost.contains(&word) && !known.iter().any(|known| if number { *known == word } else { alike(known, &word) }) {
            lost.push(word);
        }
    }
    lost
}

/// "30kg" is two, "m2" is one.
fn words_of(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("'s", "").replace('’', "'");
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .flat_map(|run| {
            let letters: Vec<char> = run.trim_matches('\'').chars().collect();
            let one = !letters.first().is_some_and(char::is_ascii_digit);
            letters
                .chunk_by(|a, b| one || a.is_ascii_digit() == b.is_ascii_digit())
                .map(|word| word.iter().collect())
                .collect::<Vec<String>>()
        })
        .collect()
}

/// "rated" and "rating" are.
fn alike(one: &str, other: &str) -> bool {
    let same = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    one == other || same >= 4 && same + 4 >= one.len().max(other.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_nowhere_are_lost() {
        for (sentence, known, words) in [
            ("Build a REST API for books with a title, please", "books title", vec![]),
            ("and put the boxes on a map", "boxes", vec!["map"]),
            ("search books by mayor", "books search", vec!["mayor"]),
            ("a price, an area in m2 and a weight of 30kg", "price area weight 30 kg", vec![]),
            ("a priority from 1 to 10, by pages of 50", "priority 1 10 pages", vec!["50"]),
            ("Add a rating and rename the title", "ratings: number; title is called name", vec![]),
        ] {
            assert_eq!(lost(sentence, known), words, "{sentence}");
        }
    }
}
