//! Whether each word of a sentence is somewhere in what was understood of it, or in what is said not to be: what is in neither was lost on the way.

use super::words;
use crate::Block;

/// Words that say nothing of what is to be built, or only in which form.
const NEUTRAL: &str = "\
    a able about above across actually add additional after again all allow allowed allows almost along already also always among an and another any anybody anyone anything app \
    apps application applications are around as ask asked at available away back backend based basic be because been before being below beside better between both \
    build building but button by call called can cannot change character characters check clean clear client clients collection column columns common complete \
    consist consists contain containing contains could create created crud current customer customers data database decimal default delete describe design details develop \
    different digit digits display do does done each easily easy edit either else empty enter entity entries entry especially etc even every everybody everyone everything exactly existing expose \
    feature features field fields filled find first flag follow following for form format free from full further generate get gets give given go good great greater group had handle has have having \
    he hello help her here hey hi high higher him his hold how however i id if in include included including individual info information inside instead integer into is it item items its \
    itself json just keep keeping kept kind kinds know known large larger last later least length less let letters like list listed lists little load loads long longer look looking lower made \
    maintain make makes manage managed management manager managing mandatory many mark max maximum may me mean meant member members microservice min minimum minutes mobile modern modify more \
    most multiple must my name named names need needed needs negative new nice no nobody none not note now null number numbers of off offer on once one ones online only open optional \
    optionally or order organise organize other others our out over own part people per permit person phone pipeline place platform plain please pls plus point points positive possible present \
    price product program project provide provides put quick range rather read really record records register related rename require required requires rest restful result results right run \
    runs said same save see send separate service services set several shall she short should show shows simple simply single site small so some somebody someone something soon sort staff \
    standard start state still store stored stores string such support supporting system table api apis etl csv micro belong belongs crud backends server limit limited restrict hour hours hourly day days daily night nightly week weekly month monthly second seconds morning \
    devices device sync syncs offline ios android iphone tablet import imports ingest process fetch extract job jobs schedule scheduled export exports files \
    boolean bool booleans int integers float date dates datetime timestamp timestamps time row rows cell column link links url enum nullable chars char type types whole zero hundred two \
    post posts publish share shared work works working implement assigned assign specified reported skip skipped reject rejected duplicate duplicates bad valid invalid validate validated validates drops drop remainder rest \
    interface endpoint endpoints health metrics prometheus readiness liveness probes probe due down whereby unless need needing required knock gimme throw prepare love false real living located linking \
    storing telling tick box switch administer purchase sell rent lend book borrow anymore rid whenever percentage percent participant participants visitor visitors volunteer volunteers applicant applicants \
    coach coaches staff committee agency auction bakery band business café cafe cellar chain charity choir church city class clinic club company conference council department estate factory family farm ferry fleet garage \
    garden group gym helpdesk home hospital hotel house household league library museum neighbourhood neighborhood nursery office parish practice restaurant salon school shelter shop society startup store studio \
    team university village vineyard warehouse workshop \
    resource resources model attribute attributes property possible replace replaces replaced swap convert turn become becomes instead rename remove removed delete eliminate registered registering seller sellers buyer buyers admin admins moderator moderators file comprising \
    kilos hectares square sharing wrong mistake previously earlier anymore besides furthermore moreover finally lastly firstly secondly afterwards meanwhile \
    shopping guest book reading grocery wish packing todo task journal diary blog log catalog catalogue crm inventory registry directory portal dashboard board wiki forum planner organizer tracker \
    euros dollars pounds percent kg grams km meters metres celsius cents euro dollar take team tell text than thank thanks that the their them then there these they thing things this those \
    through time times to together too tool track tracked tracking true type under unique until up update upper us use used user users using value values various version via view want \
    wanted wants was way we web webapp website well were what when where whether which while who whole whom whose why will with within without word would write yes you your \
    dear folks guys mate mates ok okay cheers kindly hereby thx btw fyi asap lovely wonderful awesome cool neat tired paper spreadsheet spreadsheets excel notebook currently today \
    somewhere anywhere everywhere online nowadays actually basically mostly mainly usually often sometimes never ever yet quite very much lot lots bit kind sort rather";

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
        Block::Payment => "payment payments pay pays paid paying card credit debit checkout stripe money buy buyers",
    }
}

/// What blocks are asked for with.
pub(crate) fn of_blocks(blocks: &[Block]) -> String {
    blocks.iter().map(|block| of_block(*block)).collect::<Vec<_>>().join(" ")
}

/// The words of the sentence that are not in `known`. Who does something with a part is nothing of it: "cooks should upload a photo".
pub(crate) fn lost(sentence: &str, known: &str) -> Vec<String> {
    let known: Vec<String> = words_of(known);
    let mut lost: Vec<String> = Vec::new();
    let said = words_of(sentence);
    let does =
        said.get(1).is_some_and(|verb| ["should", "must", "can", "may", "need", "want", "have", "will", "could"].contains(&verb.as_str()));
    let who = usize::from(does && said.first().is_some_and(|who| words::is_many(who)));
    for word in said.into_iter().skip(who) {
        let one = words::singular(&word);
        let neutral = word.len() < 3 || word.contains('\'') || NEUTRAL.split_whitespace().any(|neutral| neutral == word || neutral == one);
        if !neutral && !lost.contains(&word) && !known.iter().any(|known| alike(known, &word)) {
            lost.push(word);
        }
    }
    lost
}

fn words_of(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("'s", "").replace('’', "'");
    text.split(|c: char| !c.is_alphabetic() && c != '\'')
        .map(|word| word.trim_matches('\'').to_owned())
        .filter(|word| !word.is_empty())
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
            ("Add a rating and rename the title", "ratings: number; title is called name", vec![]),
        ] {
            assert_eq!(lost(sentence, known), words, "{sentence}");
        }
    }
}
