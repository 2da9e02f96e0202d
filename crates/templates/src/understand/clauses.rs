//! Clauses in the many shapes that people give them, each made a sentence of its own in the one shape that is read: "attendees register for an
//! event with their name" is "attendees belong to an event. attendees have name".

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::phrasing::{self, compiled};
use super::{asides, sections, words};

/// Words that name what has a few values.
const FEW: &str = "status|state|action|form|family|channel|method|zone|level|size|type|kind|category|grade|stage|phase|severity|condition|difficulty|role|gender|priority|mood|shift|result|outcome|tier|plan";
const READ: &str = "ingests?|loads?|imports?|reads?|takes?|process(?:es)?|fetch(?:es)?|pulls?(?: in)?|picks? up|consumes?|parses?";
const KEPT: &str = "assigned|let|rented|lent|given|sold|linked|tied|attached|allocated|booked|owned|run|led|managed|handled|taught|hosted|kept|\
    stored|located|placed|done|supervised|written|made|created|taken|reported|logged|recorded|filed|raised|grown|planted|housed|served|working|employed|based|enrolled|registered|stationed|organised|organized";
/// What a pipeline does with what it has read, whatever it is told.
const LOADED: &str = "(?:load|upsert|insert|write|store|save|put|sav|stor|writ)(?:e?s|ing)?(?: (?:them|it|the (?:rest|rows|remainder|results?|data|valid (?:ones|rows|records))|everything|all|records|rows|valid (?:ones|rows|records)))?";

/// What comes before one more step.
const THEN: &str = r"(?P<stop>\.)?(?:,? and|,|;| -)? (?:then )?";

/// What is said, and in place of it what is read. What is called `many` or `other` is a plural, or nothing is done.
const SHAPES: &[(&str, &str)] = &[
    // Who asks, and how.
    (r"^as (?:an?|the) [\w -]+?,? i (?:want|need|would like)(?: to be able)?\b", "I want"),
    (r",? so that (?:i|we) (?:can )?(?:see|know|find out|remember|tell)\b[^.;,]*", ""),
    (
        r"^(?:i|we) (?:run|own|have|manage|work (?:at|for|in)|am|are|organi[sz]e|help out at) [^.:]*?(?:, so|, and|,| and|;| so) (?:i|we)?(?:'d)? ?(?P<wish>need|want|would|like)\b",
        "I $wish",
    ),
    (r"\b(?:would|'d) love\b|\bcould (?:use|do with)\b|(?:\bam|\bare|'m|'re)(?: looking for| after)\b", " want"),
    (r"\bsomething (?:on the web|online|web-based)\b", "a web app"),
    (r"\b(?:restful|rest|http) (?:web )?(?:interface|endpoints?)\b|\brestful (?:web )?service\b", "REST API"),
    (r"\bbackend (?:for|of) (?:an?|the|my|our) (?:ios|android|phone|mobile|iphone|flutter|react native) app\b", "mobile backend"),
    (r"\bgimme\b", "give me"),
    (
        r"\bfor (?:the )?(?:registration|management|tracking|administration|recording|storage|handling|booking|organi[sz]ation|logging) of (?:the |our |my )?",
        "for ",
    ),
    (r" online(?P<end>[:,.;])", "$end"),
    (
        r"^(?:an? |the )?(?:rest )?(?P<many>[a-z]+(?: [a-z]+)?s) (?:rest )?api(?:,| -) (?P<field>[a-z][\w ]*,)",
        "REST API for $many with $field",
    ),
    (
        r"^(?P<whole>[^.:]*?) with (?:token|bearer|password|e-?mail|user)(?:[ -]based)? (?:authentication|auth|login)(?P<what> for [^.]*.*)$",
        "$whole$what. Login is required",
    ),
    (
        r"^(?:my|our|the) (?:[\w-]+ ){1,3}?(?:needs?|wants?|requires?|would like) (?:somewhere|some place|a place|a way|something|a tool|software) (?:to|for)\b",
        "I want an app to",
    ),
    (r"^(?P<app>(?:a|an) )?(?:somewhere|some place|a way) to\b", "an app to"),
    (r"\bthe system (?:shall|should|must|will)\b", "The system"),
    (r"\bwhereby\b|\bin which\b", "where"),
    (r"\b(?:comprising|consisting of|featuring|made up of|recording for each)\b", "with"),
    (r"\b(?P<lead>to|for|and|that|which|can) (?:note|write|jot|put) down\b", "$lead record"),
    (r"\bfor (?:to )?(?P<do>manage|register|record|track|store|keep|save)\b(?: the\b)?", "to $do"),
    (r"\bto register (?:the |our |my )?", "to record "),
    (r"\b(?P<many>[a-z]+s) (?:that |which )?(?:we|i|people|they|you)(?:'ve| have|'d)? \w+,? (?P<with>with|having)\b", "$many $with"),
    (
        r",? where (?:my|our|the|a) [\w -]+? (?:can|may|could) (?:keep|have|maintain|manage|share|track|store) (?:an? |the )?(?:list|lists|record|track|log|collection) of (?:the |all |our )?(?P<many>[a-z]+s)\b(?: (?:that |which )?(?:we|they)(?:'ve| have)? \w+)?(?P<with>,? with| and|,)",
        " for $many$with",
    ),
    (
        r"(?: (?:for|of) (?:an?|the|our|my) [\w-]+(?: [\w-]+)?)?,? where (?:i|we|people|users|staff|me and my [a-z]+|(?:my|our|the) [\w -]+?) (?:can )?(?:register|record|track|manage|store|keep|enter|log|write down|post|share|add)(?: each| every| all)?(?: the| our| my| their)? (?P<many>[a-z]+s)(?:,)? (?P<with>with|and)\b",
        " for $many $with",
    ),
    (
        r",? where (?:i|we|people|users|staff) can (?:register|record|track|manage|store|keep|enter|log|write down|post|share|add) (?:each|every) (?P<one>[\w ]+?):",
        " for a $one:",
    ),
    (
        r" and the (?P<many>[a-z]+s) (?:living|staying|working|stored|kept|listed|sold|held) (?:in|on|at|by) (?:them|it|each|those)\b",
        " and their $many",
    ),
    (r",? and (?P<many>(?:[a-z]+ )?[a-z]+s) for (?:each|every) (?P<one>[a-z]+)(?P<end>[.;]|$)", ". $many belong to a $one$end"),
    (r"\b(?:for|of) (?:an?|the|our|my) (?:[\w-]+ ){1,3}with (?P<many>[a-z]+s)(?P<open> \()", "for $many$open"),
    (
        r"\b(?:for|of) (?:an?|the|our|my) (?:[\w-]+ ){1,3}with (?P<many>[a-z]+s) and (?P<other>[a-z]+s)(?P<end>,? where\b|,? each\b|[,.;]|$)",
        "for $many and $other$end",
    ),
    (r" - (?P<many>[a-z]+s)(?P<colon>: )", ". $many$colon"),
    (r" - with (?P<end>[\w ]+)$", ", with $end"),
    // Whose place it is, is nothing that is kept.
    (
        r"\b(?:for|of) (?:an?|the|our|my) (?:[\w-]+ ){1,3}with (?P<many>[a-z]+s) (?:that|which|who) (?:each )?(?:have|has|contain)\b",
        "for $many with",
    ),
    (r"\bwith (?P<many>[a-z]+s) (?:that|which|who) (?:each )?(?:have|has|contain)\b", "for $many with"),
    (
        r"\b(?:for|of) (?:an?|the|our|my) (?:[\w-]+ ){1,3}with (?P<many>[a-z]+s), (?:that|which|who) (?:each )?(?:have|has|record|contain)\b",
        "for $many with",
    ),
    (r",? and (?P<many>[a-z]+s), (?:that|which|who) (?:each )?(?:have|has|record|contain)s? ", ". $many have "),
    (r"\b(?P<kind>backend|api) for (?:an?|the|our|my) [\w-]+(?: [\w-]+)? app(?:lication)? with ", "$kind with "),
    (
        r"(?:,? and|,|\bwhere|^|\. ?) ?(?:can )?(?:post|submit|publish|offer|advertise|share|create|add) (?P<many>[a-z]+s) with (?:an? )?",
        ". $many have ",
    ),
    (
        r"(?:, and|, plus| plus|, as well as| as well as|,) (?P<many>(?:[a-z]+ )?[a-z-]+s)(?: with|, each with| having) (?:an? |their )?",
        ". $many have ",
    ),
    (
        r" for (?:an?|the|our|my) [\w-]+(?: [\w-]+)? (?P<to>to (?:manage|administer|track|record|store|keep|register|log|organi[sz]e|handle))\b",
        " $to",
    ),
    // What belongs to what.
    (
        r"\b(?P<many>[a-z]+s) (?:linking|connecting|joining) (?:an?|the|one) (?P<of>[a-z]+) (?:and|with|to) (?:an?|the|one) (?P<to>[a-z]+),? (?:with|having) (?:an? )?",
        ". $many belong to a $of. $many belong to a $to. $many have ",
    ),
    (
        r"\b(?P<many>[a-z]+s) with (?P<fields>[^.;:]+?) belonging to (?:an?|the|one|each) (?P<of>[a-z]+)",
        "$many with $fields. $many belong to a $of",
    ),
    (
        r"\b(?:is|are) (?:<KEPT>) (?:to|by|in|at|with|for|on) (?P<article>an?|one|the) (?P<of>[a-z]+),? (?:with|who has|which has|that has|who have)\b",
        "belongs to a $of with",
    ),
    (
        r"\b(?P<belongs>belongs? to (?:an?|one|the)) (?P<of>[a-z]+),? (?:with|who has|which has|that has|having) (?P<fields>[^.;]+)",
        "$belongs $of. Each $of has $fields",
    ),
    (
        r"(?:,? and|,)? ?(?:where )?(?:each|every|an?|one) (?P<one>[a-z]+) can (?:look after|care for|lead|teach|run|own|write|book|manage|handle|take|make|give|host|contain|hold|supervise|treat|receive|place|get|cover|serve|borrow|rent|submit|post|sell)(?: out)? (?:many|several|multiple|any number of) (?P<many>[a-z]+s)\b",
        ". $many belong to a $one",
    ),
    (
        r"\b(?P<many>[a-z]+s) (?:live|sit|stand|hang|grow|are kept|are stored|are grown|are held|take place) (?:in|on|at) (?:an? |one |different )?(?P<of>[a-z]+)<END>",
        "$many belong to a $of$end",
    ),
    (
        r"\b(?P<each>each|every) (?P<one>[a-z]+) (?:is )?(?:<KEPT>) (?:to|by|in|at|with|for|on) (?:exactly |only )?(?:one|an?|a single) (?P<of>[a-z]+)<END>",
        "$each $one belongs to a $of$end",
    ),
    (
        r"\b(?:is|are) (?:(?:<KEPT>) )?(?:by|with|at|in|on|for) (?:exactly |only )?(?:one|a single) (?P<of>[a-z]+)<END>",
        "belongs to a $of$end",
    ),
    (
        r"(?:,? and |, |^|\. ?)(?P<many>[a-z]+s) (?:can |may )?(?:register|sign up|apply|enroll?|subscribe) (?:for|to|in|at|on|with) (?:an?|the|each|one) (?P<of>[a-z]+)(?: by giving| giving| with| and give)(?: their| an?)? ",
        ". $many belong to a $of. $many have ",
    ),
    (
        r",? ?(?:\band |\bwhere )?(?P<who>[a-z]+s) (?:can )?(?:post|submit|publish|offer|sell|advertise) (?P<many>[a-z]+s) with (?:an? )?",
        ". $who. $many have ",
    ),
    (r"\bone of (?P<list>[\w-]+(?:, [\w-]+)*), (?P<last>[\w-]+)(?P<end>\.|;|$)", "one of $list or $last$end"),
    // A field and its values.
    (
        r"\b(?P<name>(?:[a-z]+ )?(?:<FEW>)) (?:\(|of |which is |that is )?(?P<list>[\w-]+(?:, (?:[\w-]+))*,? or (?:[\w-]+))\)?<END>",
        "$name of $list$end",
    ),
    (r"\b(?P<many>[a-z]+s) needs? (?P<article>an?) (?P<next>[a-z]+)", "$many have $article $next"),
    (r",? (?:grouped|organi[sz]ed|arranged|divided) (?:into|in|by) (?P<many>[a-z]+s) (?:that|which) have ", ". $many have "),
    // "a web app for my allotment society: plots have a number"
    (r" (?:for|of) (?:my|our|an?|the) (?:[\w-]+ ){0,2}[\w-]+: (?P<many>[a-z]+s) (?P<verb>have|with|that have)\b", ". $many $verb"),
    (
        r"^(?P<before>[^:.]*: )(?P<one>[a-z]+) with (?P<fields>[^.:]+?),? (?:and )?(?P<two>[a-z]+) with (?P<more>[^.:]+)$",
        "${before}a $one has $fields. a $two has $more",
    ),
    (
        r"(?P<before>^|, |\band |\ban? |\bthe |\bwith |\bhave |\bhas )(?P<bound>min|max)imum (?P<what>[a-z]+)<END>",
        "$before$bound $what$end",
    ),
    (r" in (?:square|sq\.?) (?:metres|meters|feet|m)\b", " in m2"),
    (r", (?P<type>whole number|decimal number|integer|boolean)<END>", " ($type)$end"),
    (
        r"(?:,? and|,) (?:let|allow|enable) (?P<who>[a-z]+)(?: to)? (?P<do>pay|upload|attach|log in|sign up|sign in|search)\b",
        ". $who can $do",
    ),
    // What comes with a project, said beside something else.
    (r"(?:,? and|,|;| -)? (?:with )?auth(?:entication)?(?: is)? (?:required|needed)<END>", ". Login is required$end"),
    (r"(?:,| and|;)? (?:with )?user accounts(?: with (?:login|sign-?in|passwords?|e-?mail and password))?<END>", ". Login is required$end"),
    (
        r"(?:[;,.]|,? and)? (?:please )?(?:add|include|support|provide) (?P<part>(?:full[- ]text )?search|file uploads?|login|authentication|pagination|live updates|(?:online |card )?payments)\b",
        ", with $part",
    ),
    (r",? (?:and )?searchable and paginated<END>", ". With search and pagination$end"),
    (
        r"(?:,? and|,) search(?:es)?(?: through| for| in| across| among| within)?(?: everybody's| everyone's| each other's| all| the| their)? (?P<many>[a-z]+s)(?: by [\w ]+)?<END>",
        ". Search$end",
    ),
    (r"(?:, and|,|;|^) push(?:es)? [\w ]+? (?:over|via|through|by) (?:an? )?websockets?<END>", ". Live updates$end"),
    (r"(?:,| and|;)? push(?:es)? live [\w ]+?(?: (?:over|via|through|by) (?:an? )?websockets?)?<END>", ". Live updates$end"),
    (r",? (?:plus|and|with) sign-?(?:in|up)<END>", ". Login is required$end"),
    (r"(?:,? and|,|;| -)? paginate (?:the |all )?(?:lists?|results|everything|them)<END>", ". Paginate lists$end"),
    (
        r"(?:,? and|,|;| -)? (?:with )?(?:(?:card|online|credit card) payments?|payments? (?:by|with|via) (?:credit )?card)(?: at (?:the )?checkout)?<END>",
        ". Card payments$end",
    ),
    (
        r"(?:,? and|,|;| -)? (?:with )?(?:an? )?(?:optional )?(?P<what>photo|picture|image|file|document) uploads?<END>",
        ". $what upload$end",
    ),
];

/// What is read from files.
const FILES: &[(&str, &str)] = &[
    (
        r"^(?:an? )?(?:[\w ]*pipeline) ?[:,-] ?(?:an? |the )?(?:(?P<when>nightly|daily|hourly|weekly) )?(?P<format>csv|jsonl?)(?: files?| exports?)? (?:of|with) (?P<many>[a-z]+(?: [a-z]+)?s) \((?P<fields>[^()]+)\)",
        "A data pipeline that loads $many from a $format file, $when. $many have $fields. ",
    ),
    (
        r"^[^.:;]{0,60}?\b(?:<READ>) (?:an? |the |our |some )?(?:(?P<when>daily|hourly|nightly|weekly) )?(?P<format>csv|jsonl?)(?: files?| exports?| dumps?)? (?:of|with|for) (?P<many>[a-z]+(?: [a-z]+)?s) (?:with|comprising|containing|having) ",
        "A data pipeline that loads $many from a $format file, $when. $many have ",
    ),
    (
        r"^[^.:;]{0,60}?\b(?:<READ>) (?P<what>[a-z]+(?: [a-z]+)?) (?P<format>csv|jsonl?)(?: files?| exports?| dumps?)?(?P<every> (?:every|each) (?:\d+ )?\w+)?(?: (?:in)?to (?:an?|the|our) [\w ]+?)? (?:with|comprising|containing|having) ",
        "A data pipeline that loads $what from a $format file$every. $what have ",
    ),
    (
        r"^(?:[\w ]*pipeline ?[:,-] ?)?(?:[^.:;(]{0,40}?\b)?(?:<READ>) (?:the |our |a )?(?P<what>[\w-]+)\.(?P<format>csv|jsonl?)(?P<every> (?:every|each) (?:\d+ )?\w+)? \((?P<fields>[^()]+)\)",
        "A data pipeline that loads $what from a $format file$every. $what have $fields. ",
    ),
    (
        r"^[^.;]{0,60}?\b(?:<READ>) (?:the |our |an? )?(?P<what>[a-z]+(?: [a-z]+){0,2}) (?P<format>csv|jsonl?)(?: files?| exports?)? \((?P<fields>[^()]+)\)",
        "A data pipeline that loads $what from a $format file. $what have $fields. ",
    ),
    (
        r"^[^.;]{0,60}?\b(?:<READ>) (?:an? |the |our )?(?P<format>csv|jsonl?)(?: files?| exports?)? (?:of|with|for) (?P<many>[a-z]+(?: [a-z]+)?s)(?: (?:in)?to [\w ]+?)?: (?P<fields>[^();.]+)",
        "A data pipeline that loads $many from a $format file. $many have $fields",
    ),
    (
        r"^[^.:;]{0,60}?\b(?:<READ>) (?:the |our |a )?(?P<what>[\w-]+)\.(?P<format>csv|jsonl?)(?: (?:in)?to [\w ]+?)?(?: after [\w ]+?)?: (?P<fields>[^()]+)$",
        "A data pipeline that loads $what from a $format file. $what have $fields",
    ),
    (
        r"^[^.;]{0,60}?\b(?:<READ>) (?:an? |the |our )?(?P<format>csv|jsonl?)(?: files?| exports?)? (?:of|with|for) (?P<many>[a-z]+(?: [a-z]+)?s) \((?P<fields>[^()]+)\)",
        "A data pipeline that loads $many from a $format file. $many have $fields. ",
    ),
    (
        r"^[^.:;]{0,60}?\b(?:<READ>) (?P<many>[a-z]+(?: [a-z]+)?s) (?:in|as) (?P<format>csv|jsonl?)(?: format| files?)?(?P<every> (?:every|each) (?:\d+ )?\w+)?,? (?:and )?checks? (?:that )?(?P<fields>.*?)(?:,? and (?:then )?(?:writes?|loads?|stores?|saves?|inserts?|upserts?) [^.]*)?$",
        "A data pipeline that loads $many from a $format file$every. $many have $fields",
    ),
];
/// What a pipeline is told to do with them.
const STEPS: &[(&str, &str)] = &[
    (r"<THEN>(?:validate|check|verify|make sure|ensure)s? that (?:the )?(?P<said>[\w ]+ (?:is|are) [^.,;]+)", ". $said"),
    (r" on (?:an? |the )?(?P<every>hourly|daily|nightly|weekly) (?:schedule|basis)", ", $every"),
    // What is not good may be more than the fields say.
    (
        r"(?:,? and|,|;)? (?:then )?(?:reject|skip|drop|ignore|discard)(?:ing|s)? (?:any |all |the )?(?P<rows>row|record|line|one|entrie)s? (?P<which>(?:with|without|where|whose|that) [^,.;]+)",
        ". Reject ${rows}s $which",
    ),
    (r"<THEN>(?:drop|remove|skip|ignore|reject|discard)s? duplicates? (?:by|on|of) (?:the )?(?P<key>[\w ]+?)<END>", ". $key is unique$end"),
    (
        r"<THEN>(?:validate|check|verify)s?(?: (?:the |all )?(?:records|rows|lines|data|them|it|everything|e-?mails|dates|numbers|format|types)(?: addresses)?)?<END>",
        "$stop$end",
    ),
    (r"<THEN>runs? (?P<every>(?:every|each) (?:\d+ )?\w+|hourly|daily|nightly|weekly)", ", $every"),
    (
        r"<THEN><LOADED> (?:in|to|into) (?:(?:an?|the|our) )?(?:sqlite|database|db|table|sqlite database|database table)(?P<end>\s*[,.;]|\s*$|\s+(?:and|every|each|once|hourly|daily|nightly|weekly|on)\b)",
        "$stop$end",
    ),
    (
        r"<THEN>(?:bad|invalid|wrong|broken|faulty) (?:records|rows|lines|ones) (?:(?:must|should|shall|have to|are to) )?(?:be |are |get )?(?:skipped|rejected|reported|logged|kept|set aside)(?: and (?:skipped|rejected|reported|logged|kept))?<END>",
        "$stop$end",
    ),
    (
        r"<THEN>(?:skip|reject|report|log|set aside)(?:s|ping)?(?: and (?:skip|reject|report|log)s?)? (?:the )?(?:bad|invalid|wrong|broken|faulty) (?:records|rows|lines|ones)<END>",
        "$stop$end",
    ),
];

fn table(shapes: &'static [(&str, &str)]) -> Vec<(Regex, &'static str)> {
    let words = [("<FEW>", FEW), ("<READ>", READ), ("<KEPT>", KEPT), ("<LOADED>", LOADED), ("<THEN>", THEN), ("<END>", phrasing::END)];
    compiled(shapes, &words)
}
static SHAPED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| table(SHAPES));
static READ_FILES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| table(FILES));
static TAKEN_STEPS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| table(STEPS));

static PIPELINE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:pipeline|csv|etl)\b|\bjson (?:files?|exports?)\b|\bfrom json\b").ok());

const PRESENT: &[&str] = &[" present", " given", " filled in", " there"];

/// With what none of these begins, or it is something else.
const BEGINNINGS: &[(&str, &[&str])] = &[
    // "An API, where users can log in": no fields.
    ("field", &["where", "with", "please", "and", "that", "which", "each", "every", "for", "so"]),
    // "I need rooms with a number": they are no "need rooms".
    ("many", &["i", "we", "you", "they", "need", "want", "also", "would", "like", "to", "and", "or", "no", "not"]),
    // "The runners need a mobile backend"
    (
        "next",
        &[
            "mobile",
            "backend",
            "api",
            "rest",
            "web",
            "simple",
            "small",
            "website",
            "app",
            "microservice",
            "service",
            "place",
            "way",
            "system",
        ],
    ),
];

/// Whether each part of it is what its name says.
fn is_meant(found: &Captures<'_>) -> bool {
    let part = |name: &str| found.name(name).map(|part| part.as_str().to_lowercase());
    let plural = |name: &&str| part(name).is_none_or(|many| words::is_many(last(&many)));
    let begins = |(name, others): &(&str, &[&str])| part(name).is_none_or(|part| !others.contains(&part.split(' ').next().unwrap_or("")));
    // "check that guest and room are present" says it of all.
    let present = part("fields").is_some_and(|fields| PRESENT.iter().any(|said| fields.contains(said)));
    ["many", "other"].iter().all(plural) && BEGINNINGS.iter().all(begins) && !present
}

fn shaped(text: &str, shapes: &[(Regex, &str)]) -> String {
    let mut text = text.to_owned();
    for (pattern, read) in shapes {
        let replaced = |found: &Captures<'_>| {
            let mut said = String::new();
            match is_meant(found) {
                true => found.expand(read, &mut said),
                false => said += &found[0],
            }
            let before = &text[..found.get(0).map_or(0, |found| found.start())];
            if said != found[0] && asides::asks(&said) && (phrasing::denied(before) || phrasing::denied(&found[0])) {
                return found[0].to_owned();
            }
            said
        };
        text = pattern.replace_all(&text, replaced).into_owned();
    }
    text
}

/// "a zone", "the order status"
pub(super) fn has_few(name: &str) -> bool {
    FEW.split('|').any(|few| last(&name.to_lowercase()) == few)
}

fn last(phrase: &str) -> &str {
    phrase.rsplit(' ').next().unwrap_or(phrase)
}

/// The sentences with each clause in a shape that is read.
pub(super) fn plain(text: &str) -> String {
    let is_pipeline = |text: &str| PIPELINE.as_ref().is_some_and(|pipeline| pipeline.is_match(text));
    // "a CSV of orders -> validate -> load"
    let text = if is_pipeline(text) { text.replace(" -> ", ", ").replace(" → ", ", ") } else { text.to_owned() };
    let text = shaped(&text, &READ_FILES);
    let pipeline = is_pipeline(&text);
    let text = if pipeline { shaped(&text, &TAKEN_STEPS) } else { text };
    let text = shaped(&stated(&asking(&text)), &SHAPED);
    sections::stops(&text).into_iter().map(str::trim).filter(|said| said.contains(char::is_alphanumeric)).collect::<Vec<_>>().join(". ")
}

/// What is said of something else behind what asks for a part.
static ELSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(?P<kept>,? and (?:record|track|manage|store|keep|enter|register|post|add|publish) )| (?:with|has|have) |, (?:post|publish|submit|share|create|add|leave|write|and each|each) ").ok()
});

static ASKS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:,| -|;)? (?:(?:and|where|so that|so|plus) )?(?:(?:let|allow) )?(?P<who>(?:only |the |our |all |any |each |every |new |registered |logged[- ]in |connected )*[a-z]+) (?P<verb>(?:should|must|can|could|may|will|need to|needs to|have to|has to|get|gets|receives?|logs?|signs?|uploads?|attach(?:es)?|pays?|sees?)\b[^.;:]*)",
    )
    .ok()
});

/// "…, and clients should get live updates": what asks for a part of the project is a sentence of its own.
fn asking(text: &str) -> String {
    let (Some(asks), Some(other)) = (ASKS.as_ref(), ELSE.as_ref()) else { return text.to_owned() };
    let one = |sentence: &str| {
        let mut from = 0;
        while let Some(found) = asks.captures_at(sentence, from) {
            let (whole, who, verb) = (found.get(0), &found["who"], &found["verb"]);
            let Some(whole) = whole else { break };
            let (before, behind) = (&sentence[..whole.start()], &sentence[whole.end()..]);
            let found = other.captures(verb);
            let (verb, rest) = verb.split_at(found.as_ref().and_then(|found| found.get(0)).map_or(verb.len(), |found| found.start()));
            let denied = phrasing::denied(before) || phrasing::denied(&format!("{who} {verb}"));
            if asides::asks(&format!("{who} {verb}")) && !denied && whole.start() > 0 && !before_names(before, who) {
                return match found.and_then(|found| found.name("kept")) {
                    // "where volunteers can log in and record parcels, each with a weight"
                    Some(kept) => format!("{before} for {}{behind}. {who} {verb}", &rest[kept.len()..]),
                    None => format!("{before}. {who} {verb}. {rest}{behind}"),
                };
            }
            from = whole.start() + 1;
            while !sentence.is_char_boundary(from) {
                from += 1;
            }
        }
        sentence.to_owned()
    };
    sections::stops(text).into_iter().map(one).collect::<Vec<_>>().join(". ")
}

/// "a date they", "tasks that people": it is part of what is said before.
fn before_names(before: &str, who: &str) -> bool {
    let last = last(before.trim_end()).to_lowercase();
    ["that", "which", "who", "to", "for", "of", "a", "an", "the", "whether", "if", "when", "before", "after", "until"]
        .contains(&last.as_str())
        || ["that", "which", "who", "it", "to", "should", "must", "can", "could", "may", "will", "need", "have", "be"]
            .contains(&who.to_lowercase().as_str())
}

static STATES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)[,;] (?:(?:and|where) )?(?P<all>(?:(?:an?|each|every|all|the|one) )?(?P<name>[a-z]+) (?P<verb>has|have|belongs? to|(?:is )?assigned to) )")
        .ok()
});

/// "podcasts and episodes, episode has title": what is said of something that was named is a sentence of its own.
fn stated(text: &str) -> String {
    let Some(states) = STATES.as_ref() else { return text.to_owned() };
    states
        .replace_all(text, |found: &Captures<'_>| {
            let name = found["name"].to_lowercase();
            let before = text[..found.get(0).map_or(0, |found| found.start())].to_lowercase();
            let one = words::singular(&name);
            let named = before.split(|c: char| !c.is_alphanumeric()).any(|word| word == name || words::singular(word) == one);
            if !named || ["it", "they", "which", "that", "who", "and", "or", "but", "also", "where"].contains(&name.as_str()) {
                return found[0].to_owned();
            }
            match found["verb"].to_lowercase().as_str() {
                "have" if one == name => format!(". Each {one} has "),
                _ => format!(". {}", &found["all"]),
            }
        })
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_said_alike() {
        assert_eq!((SHAPED.len(), READ_FILES.len(), TAKEN_STEPS.len()), (SHAPES.len(), FILES.len(), STEPS.len()), "each is a pattern");
        assert!(ASKS.is_some() && STATES.is_some() && ELSE.is_some() && PIPELINE.is_some());
        for (said, read) in [
            (
                "crud api for podcasts and episodes, episode has title, audio url",
                "crud api for podcasts and episodes. episode has title, audio url",
            ),
            ("a web app for a library with books that have a title", "a web app for books with a title"),
            (
                "An events API: events have a venue, and attendees register for an event with their name and email",
                "An events API: events have a venue. attendees belong to a event. attendees have name and email",
            ),
            ("patients with a name, and where each nurse can look after many patients", "patients with a name. patients belong to a nurse"),
            ("Plants live in rooms", "Plants belong to a rooms"),
            ("a permit has a zone A, B or C and a date", "a permit has a zone of A, B or C and a date"),
            ("orders with a status, and card payments at checkout", "orders with a status. Card payments"),
            (
                "matches with a date, and clients should get updates over WebSocket",
                "matches with a date. clients should get updates over WebSocket",
            ),
            (
                "take employees.csv (number, email), validate emails, drop duplicates by number, load to SQLite",
                "A data pipeline that loads employees from a csv file. employees have number, email. number is unique",
            ),
            ("A REST API for books with a title", "A REST API for books with a title"),
        ] {
            assert_eq!(plain(said), read, "{said}");
        }
    }
}
