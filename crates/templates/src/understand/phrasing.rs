//! The many ways people say the same, said in the one way that the rest reads: "for each book I want a title" is "each book has a title".

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{asides, clauses, sections};

use crate::Block;

const PEOPLE: &str = "users|user|people|team|colleagues|clients|guests|patients|parents|kids|readers|everyone|everybody|anyone|customers?|members?|visitors?|employees|staff|students|teachers|they|i|we|you";
const CAN: &str = "can|could|must|should|may|will|have to|has to|need to|needs to|want to|are able to|is able to";
const SIGN: &str = "sign ?-?up|sign ?-?in|log ?-?in|register";
const DO: &str = "create|add|enter|manage|track|store|keep track of|keep|record|post|write|save|share|log|organi[sz]e|maintain|collect|publish|\
    submit|report|leave|plan";
const MORE: &str = "create|add|edit|update|delete|remove|view|see|browse|list|read|manage|comment on";
const FILE: &str = "photos?|pictures?|images?|files?|documents?|attachments?|cvs?|pdfs?|scans?|receipts?|screenshots?";
const HOLD: &str = "have|belong|contain|include|consist";
/// After these a phrase is over.
pub(super) const END: &str = r"(?P<end>\s*[,.;]|\s*$|\s+and\b)";

/// People and what they may do, always alike: "users can".
const PEOPLE_ALIKE: &[(&str, &str)] = &[
    (
        r"\b(?:(?:the|each|every|all|any|registered|our|my|only) )*(?:<PEOPLE>) (?:who )?(?:<CAN>)(?: be able to| also| only| first| then)* (?P<do>(?:<SIGN>|search|upload|attach|<DO>|(?:see|view|access|edit) (?:only )?(?:his|her|their|your|my) own)\b)",
        "users can $do",
    ),
    (
        r"\b(?:(?:the|each|every|all) )+(?:<PEOPLE>) (?:only )?(?P<do>sees?|manages?|has) (?:only )?(?:his|her|their) own\b",
        "users can see their own",
    ),
    (r"\b(?P<where>where|and|so that|so) (?:the |each |every |all )?(?:<PEOPLE>) (?P<do>(?:<SIGN>|upload)\b)", "$where users can $do"),
    (
        r"\busers can (?P<first>(?:<SIGN>)(?:(?:,| and| or|/) ?(?:<SIGN>))*),? and (?P<do>search|upload|attach|<DO>)\b",
        "users can $first. users can $do",
    ),
    (r"\b(?:so that|so|where|such that|and|but|who|with) users can\b", "users can"),
];

/// What is said of a part that projects have beside their fields. `<…>` stands for the words above.
const BLOCKS: &[(&str, Block)] = &[
    // "users can sign up and log in, and each of them sees only their own notes"
    (
        r",?\s*(?:\bwith )?\busers can (?:<SIGN>)(?:(?:, and|, or|,| and| or|/) ?(?:users can )?(?:<SIGN>))*(?: first| with (?:an |their )?e-?mail(?: and (?:a )?password)?)?(?:,? (?:and|to|so that)(?: each| every| everybody| everyone| they| people| users?| of them| person| can)* (?:only )?(?:sees?|manages?|views?|access(?:es)?|edits?|keeps?|have|has) (?:only )?(?:his|her|their) own(?: \w+(?: only)?)?)?<END>",
        Block::Authentication,
    ),
    (r",?\s*\busers can (?:see|view|access|edit|manage) (?:only )?(?:his|her|their|your|my) own(?: \w+)?<END>", Block::Authentication),
    (
        r",?\s*\busers can search\b(?: (?:for|in|through|by))?(?: (?:the|a|all))?(?: \w+)?(?: by \w+(?: (?:and|or) \w+)?)?<END>",
        Block::Search,
    ),
    (
        r",?\s*(?:\band )?\b(?:<MORE>,? (?:and )?)?search(?:ing)? (?:for |through )?(?:them|it|those)(?: by \w+(?: (?:and|or) \w+)?)?<END>",
        Block::Search,
    ),
    (
        r",?\s*(?:\b(?:and|which|that|it|they|everything|all) )*(?:\b(?:<CAN>) )?(?:\b(?:be|is|are) )?(?:full[- ]text )?\bsearchable\b(?: by \w+(?:(?:, and |, | and | or )\w+)*)?<END>",
        Block::Search,
    ),
    (
        r",?\s*\b(?:with|and|plus)? (?:a )?(?:full[- ]text )?search(?: function| box| bar| feature)?(?: (?:by|on|over|in|for|across) (?:the )?\w+(?: or \w+)?)<END>",
        Block::Search,
    ),
    (
        r",?\s*\busers can (?:upload|attach) (?:an? |the |their |one or more |several )?(?:profile )?(?:<FILE>)(?: (?:for|to|of) (?:each|every|an?|the|their) \w+)?<END>",
        Block::FileUpload,
    ),
    (r",?\s*(?:\band )?\b(?:<FILE>) can be (?:uploaded|attached)(?: to (?:each|every|an?|the|their) \w+)?<END>", Block::FileUpload),
    (
        r",?\s*(?:\b(?:with|and) )?(?:an? )?\b(?:cv|pdf|document|picture|scan|receipt|screenshot|attachment)s? uploads?<END>",
        Block::FileUpload,
    ),
    (r",?\s*(?:\b(?:and|that|which|it|they) )*(?:\b(?:<CAN>) )?\bupdates? (?:in real[ -]?time|live)\b<END>", Block::Websocket),
    (r",?\s*(?:\b(?:and|which|that|it|they) )*(?:\b(?:<CAN>) )?(?:\b(?:be|is|are) )?paginated\b<END>", Block::Pagination),
];

/// Before anything else, for lists come after it.
const FIRST: &[(&str, &str)] = &[
    (r",? please(?P<end>[!.,;])", "$end"),
    (r"\b(?P<who>they|we|it|each|who|which|i)(?:'ve|'s| have| has) got\b", "$who have"),
    (
        r"^(?:please )?(?:load|import|read|ingest|take) (?P<what>[\w-]+)\.(?P<format>csv|jsonl?)(?P<when>(?: \w+){0,3}): ",
        "A data pipeline that loads $what from a $format file$when. $what have ",
    ),
    (
        r"^(?:please )?(?:load|import|read|ingest|take) (?P<what>[\w-]+)\.(?P<format>csv|jsonl?)\b",
        "A data pipeline that loads $what from a $format file",
    ),
    (
        r"^we get an? (?P<format>csv|json)(?: file| export)? (?:of|with) (?P<what>[\w ]+?) (?P<when>(?:each|every) \w+)(?: at [\w:]+)?(?P<end>\.|,|$)",
        "A data pipeline that loads $what from a $format file $when$end",
    ),
    (r"\bendpoints for\b", "a REST API for"),
    (
        r"(?:,? with|,? and|,|;)? (?:no|without)(?: any)? auth(?:entication)?(?: is)?(?: needed| required| necessary)?<END>|(?:,? and|,|;)? auth(?:entication)?(?: is)? not (?:needed|required|necessary)<END2>",
        "$end$end2",
    ),
    (r"(?P<from>\d)\.\.(?P<to>\d)", "$from to $to"),
    // Every project has them.
    (
        r"(?:,? (?:with|and|plus|\+)|,|\bexpose|(?P<begin>\. |^))\s*(?:an? )?(?:/?health(?: ?checks?)?|(?:readiness|liveness)(?: probes?)?|(?:prometheus )?/?metrics)(?:(?:,| and| \+|, and) (?:/?health(?: ?checks?)?|(?:readiness|liveness)(?: probes?)?|(?:prometheus )?/?metrics))*(?: endpoints?)?(?: pls| please)?(?P<end>\.|$)",
        "$begin$end",
    ),
    (r"\b(?:fields|columns|attributes) ?(?:=>|->|=) ?", "fields: "),
    (r",? if (?:we|i|you|they) (?:know|have) it\b", " (optional)"),
    (r",? and for (?P<many>[a-z]+s) with ", ". $many have "),
    (r",? (?:and )?a list of (?P<many>[a-z]+),? each (?:with|having) ", " and has many $many with "),
    (r" \+ ", " and "),
    (r"\b(?:has|have) (?:exactly )?one (?P<one>[a-z]+)(?P<end>,|\.|$)", "belongs to a $one$end"),
    (r"\b(?P<one>(?:each|every|an?) [a-z]+) (?:also )?needs? (?P<article>an?|the)\b", "$one has $article"),
    (
        r" (?:can't|cannot|can not|must not|should not|may not|mustn't) be (?:longer|more|higher|greater|larger|bigger) than ",
        " is at most ",
    ),
    (r" (?:can't|cannot|can not|must not|should not|may not|mustn't) be (?:shorter|less|lower|smaller|fewer) than ", " is at least "),
    (r" (?:can't|cannot|can not|must not|should not|may not|mustn't) exceed ", " is at most "),
    (
        r" (?:can't|cannot|can not|must not|should not|may not|mustn't) be (?:empty|left out|left empty|missing|null|blank)\b",
        " is required",
    ),
    (r" (?:are|is) (?:mandatory|obligatory)\b", " is required"),
    (r" (?:no longer|(?:do|does)(?: not|n't)) (?:have|has|need|needs) to be ", " need not be "),
    (r" (?:have|has|need|needs) to be ", " must be "),
    (r" who can be ", " of "),
    (r"\b(?P<lead>below|above|under|over|than|least|most) zero\b", "$lead 0"),
    (r"\b(?:backend|server) (?:for|of) (?:an?|the|my|our) mobile application\b", "mobile backend"),
    (r" (?P<is>is|are) (?:always )?positive<END>", " $is greater than 0$end"),
    (r" is an? positive (?:whole )?(?:number|amount|decimal|integer)\b", " greater than 0"),
    (r"\b(?:just|simply|merely) (?P<has>has|have)\b", "$has"),
    (r"\b(?P<has>has|have) (?:just|simply|only) (?P<article>an?)\b", "$has $article"),
];

/// What is said, in place of it what the rest reads, and in which order.
const SAYINGS: &[(&str, &str)] = &[
    (r",?\s*\b(?:no login(?: is)?(?: needed| required| necessary)?|without (?:any )?login)\b", ""),
    // Whose business it is, not what it is about.
    (
        r" (?:for|of) (?:my|our) (?:[\w-]+ ){0,2}?(?:clients|customers|business|company|firm|shop|store|family|team|club|office|school|restaurant|gym|class|friends|church|clinic|hotel|startup|agency|garage|bakery|café|house|household|home|kids|studio|practice|department)(?P<end>\s*[,.;:?!]|\s*$| (?:with|where|that|to|so|which)\b)",
        "$end",
    ),
    // "my students' grades", "each user's notes"
    (r"\b(?:my|our|their|each|every) [a-z]+(?:s'|'s) (?P<things>[a-z])", "$things"),
    (r"\b(?P<many>[a-z]+s) (?:that )?(?:we|i|people|they) [a-z]+ (?P<with>with|having)\b", "$many $with"),
    (r"\blibrary of\b", "collection of"),
    // "imports a CSV of customers"
    (
        r"\b(?P<does>imports?|loads?|reads?|takes?) (?:an? |the |some )?(?P<format>csv|json)(?: files?| exports?)? (?:of|with) (?P<what>[a-z]+)",
        "$does $what from a $format file",
    ),
    // Lists of fields.
    (r"\b(?:with |having |has |have )?(?:the )?(?:following )?(?:fields|columns|attributes|properties)(?: are)?\s*[:=]\s*", "with "),
    (r"\b(?:with|having) (?:the )?(?:following )?(?:fields|columns|attributes|properties) (?:of )?", "with "),
    // Each of them.
    (
        r",?\s*(?:\band )?\bfor (?:each|every|an?)(?: of the| of my| of our)? (?P<one>[\w-]+(?: [\w-]+)?),? (?:i|we|you|it|there|users can)(?:'d| would| should| will| must| also)* (?:want|need|like|store|keep|record|save|track|know|is|are)(?: to (?:store|keep|record|save|track|know|have))?(?: track of)? ",
        ". Each $one has ",
    ),
    (
        r"\b(?:store|keep|record|save|track) (?P<what>(?:the|a|an) [\w ,-]+?) (?:of|for) (?:each|every) (?P<one>[\w-]+)<END>",
        "keep track of $one, each $one has $what$end",
    ),
    (
        r"\b(?:(?:that|which) )?(?:lets?|allows?|helps?|enables?) (?:(?:the|my|our|all|their) )*(?:me|us|\w+s|<PEOPLE>) (?:to )?(?:<DO>)(?:(?:, and |, | and | or )(?:<MORE>|<DO>))* (?:(?:my|our|their|his|her|the|all|new) )*",
        "for ",
    ),
    (r",?\s*\busers can (?:<DO>)(?:(?:, and |, | and | or )(?:<MORE>|<DO>))* (?:(?:my|our|their|his|her|the|all|new) )*", " for "),
    (
        r"\b(?P<whole>api|app|application|system|backend|service|website|database) with (?P<many>[a-z]+s) (?:having|with|that have|which have|who have)\b",
        "$whole for $many with",
    ),
    // Verbs.
    (r"(?:,? and|,)? (?P<many>[a-z]+s) of (?:an?|each|every|the) (?P<of>[a-z]+) (?:have|has)\b", ". $many belong to a $of. $many have"),
    (r"\b(?:has|have) (?:exactly )?one (?P<one>[a-z]+) and many\b", "belongs to a $one and has many"),
    (r"\b(?:<CAN>)(?: also| always)? (?P<have><HOLD>)\b", "$have"),
    (r"\b(?:consists?|is made up|are made up|is composed|are composed) of (?:one or more |many |several |multiple )?", "has many "),
    (r"\b(?P<has>has|have) (?:one or more|multiple|lots of|any number of|various)\b", "$has many"),
    (r"\b(?:contains?|includes?) (?P<many>many|several)\b", "has $many"),
    (r"\bcontains?\b", "have"),
    (
        r"\b(?:is|are) (?:for|in|of|from|located in|registered (?:to|for)|made by|taken by|done by|stored (?:on|in|at)|kept (?:on|in|at)|assigned to|linked to|connected to|attached to|written by|placed by|owned by|part of) (?:exactly )?(?:one|an?)\b",
        "belongs to a",
    ),
    (r"\b(?P<belongs>belongs?) to (?:exactly |only )?one\b", "$belongs to a"),
    // Flags.
    (
        r"\b(?:a )?(?:flag (?:telling|saying|showing|for) )?(?:whether|if)(?: or not)? (?:it|they|he|she|this|one|the \w+)(?: (?:is|are|was|were|has been|have been)|'s)(?: already)? (?P<flag>[a-z]+)\b(?: or not)?",
        "a $flag flag",
    ),
    (r"\b(?:whether|if)(?: or not)? (?:i|we|you|they) (?P<flag>[a-z]+) (?:it|them)\b", "a $flag flag"),
    // What a field may hold.
    (
        r",? \b(?:which|that|whose value) (?:is|can be|may be|must be|should be) (?:either |one of |any of )?(?P<list>[\w'-]+(?: [\w'-]+)?(?:, ?[\w'-]+(?: [\w'-]+)?)*,? or )",
        " of $list",
    ),
    (
        r" (?:can be|may be|could be|being|is one of|must be one of|should be one of|is either|must be either|should be either) (?:either |one of )?(?P<list>[\w'-]+(?: [\w'-]+)?(?:, ?[\w'-]+(?: [\w'-]+)?)*,? or )",
        " of $list",
    ),
];

/// What is said of a change, and how the rest reads it.
const CHANGES: &[(&str, &str)] = &[
    // Why, is nobody's business.
    (
        r"(?:,? because|, since|,? since (?:we|it|they|that|this|i)|,? we (?:don't|do not|never|no longer|always|only|can't|cannot)) [^.;,]*?(?P<end>$|,? and (?:add|rename|remove|delete|drop|make|change|allow|limit|require)\b)",
        "$end",
    ),
    (r", (?:nobody|no one) (?:ever )?(?:needs|uses|wants|reads|looks at|fills)[^.;,]*$", ""),
    (
        r"^(?P<many>[a-z]+s) (?:don't|do not|no longer) (?:need|have|want|use) (?:an?|the|any) (?P<what>[\w ]+?)(?: any ?more| any longer)?$",
        "remove $what of $many",
    ),
    (r"^only allow (?P<what>[\w ]+?) (?P<range>between|from|above|below|up to|at most|at least) ", "$what must be $range "),
    (r"^(?:i|we) (?:also )?(?:need|want) an? [\x22'](?P<value>[\w -]+)[\x22'] (?P<what>[a-z]+)$", "allow $value as a $what"),
    (r"^two (?:different )?[a-z]+ (?:must|may|can|should) (?:never|not) (?:have|share) the same (?P<what>[\w ]+)$", "$what is unique"),
    (r"^(?:also )?(?:store|keep|record|save) (?P<what>an? [^.]+)$", "add $what"),
    (r"^add (?P<many>[a-z]+s) \((?P<fields>[^()]+)\)(?:,? and)? ?(?P<rest>(?:each|every) [^.]*)?$", "add $many with $fields. $rest"),
    (r",? (?:both|all)(?: of them)? optional$", ""),
    (r"^(?:put|bring) in ", "add "),
    (r"^(?:introduce|create) (?P<what>[a-z]+s\b)", "add $what"),
    (r"^add (?:an? )?(?P<what>[\w ]+? to [a-z]+),? (?:which is )?(?:not mandatory|not required|optional)$", "add an optional $what"),
    (r"^add (?P<many>[a-z]+s), with ", "add $many with "),
    (
        r"(?P<one>(?:each|every) [a-z]+) (?:should |must |can |may |will )?(?:also )?(?:has|have) (?P<many>[a-z]+s),?(?: each)? with ",
        "$one has many $many with ",
    ),
    (
        r"^(?:i|we) (?:also )?(?:need|want) to (?:know|see|record|store|keep) (?:whether|if) (?:an?|the|each|every) (?P<one>[a-z]+) (?:has been|is|was|has|are|were) (?P<flag>[a-z]+)$",
        "add a $flag flag to $one",
    ),
    (r",? (?:instead of|rather than|not) (?:a |as )?(?:free )?(?:text|string|numbers?)$", ""),
    (
        r"^(?:i|we) want (?:the |our |all )?[a-z]+ to (?:be |get )?(?:notified|informed|told|see|receive|updated)[\w ]*? (?:in real[ -]?time|live|instantly|immediately|at once)\b.*$",
        "add live updates",
    ),
    (r"^call (?:the )?(?P<old>[\w ]+?) [\x22'](?P<new>[\w ]+)[\x22'](?: instead| from now on)?$", "rename $old to $new"),
    (
        r"^change (?:the )?(?P<what>[\w ]+?) (?:in)?to an? (?P<type>whole number|number|text|date) (?:that|which) (?P<rest>[^.]+)$",
        "change $what to $type. $what $rest",
    ),
    (
        r"^(?:the )?(?P<what>[\w ]+?) (?:should|must|has to|needs to) be an? (?:number of (?:seconds|minutes|hours|days|weeks|months|years)|whole number)$",
        "change $what to a whole number",
    ),
    (r"^(?P<old>[\w ]+?) ?(?:->|=>|→) ?(?P<new>[\w ]+)$", "rename $old to $new"),
    (
        r"\b(?P<verb>drop|remove|delete|rename|make) (?:the )?(?P<what>[\w ]+?) (?:field|column|attribute)(?P<end> (?:of|from|to|in|required|optional|unique)\b|$)",
        "$verb $what$end",
    ),
    (
        r"^(?:the )?(?P<what>[\w ]+?) (?:do not|don't|doesn't|does not|no longer|needn't|need not) (?:has |have |needs? )?(?:to )?be unique(?: any ?more| any longer)?$",
        "make $what not unique",
    ),
    (
        r"^(?:the )?(?P<what>[\w ]+?) (?:do not|don't|doesn't|does not|no longer|needn't|need not) (?:has |have |needs? )?(?:to )?be (?:required|mandatory|given)(?: any ?more| any longer)?$",
        "make $what optional",
    ),
    (
        r"\b(?P<verb>remove|drop|delete|get rid of) (?:the )?(?P<what>[\w ]+?) (?:on|in|from) (?:the |each |every )?(?P<of>[a-z]+)$",
        "$verb $what of $of",
    ),
    (r" (?P<has>has|have) a list of (?P<many>[a-z]+s),? (?:each )?with ", " $has many $many with "),
    (
        r"^(?:i|we)(?: also)? (?:need|want|would like)(?: also)? to (?:track|keep|store|record|manage) (?P<many>[a-z]+s)(?: too| as well)?: ",
        "add $many with ",
    ),
    (
        r"\badd an? (?P<what>[\w ]+?) to (?:each |every |all |the )*(?P<to>[a-z]+),? (?:either |one of |which is (?:either |one of )?)(?P<list>[\w ,-]+ or [\w -]+)$",
        "add a $what of $list to $to",
    ),
    (r" (?:must|should|can|may|shall) never be negative\b", " is at least 0"),
    (
        r"^there (?:is|'s|are|will be) (?:also )?an? (?:new |additional |further )?(?:column|field)(?: in [\w ]+?)? (?:called|named) [\x22']?(?P<name>\w+)[\x22']?,? (?:and )?it (?:is|can be|may be) (?:either |one of )?(?P<list>[\w ,-]+ or [\w -]+)$",
        "add a $name of $list",
    ),
    (
        r"^there (?:is|'s|are|will be) (?:also )?an? (?:new |additional |further )?(?:column|field)(?: in [\w ]+?)? (?:called|named) [\x22']?(?P<name>\w+)[\x22']?",
        "add a field $name",
    ),
    (r" (?:is|are) allowed to be (?:empty|blank|missing|null|left out)\b", " is optional"),
    (r"^it (?:should|must|has to|needs to) be possible to (?P<do>upload|attach|search|log in|sign up|sign in)\b", "users can $do"),
    (
        r"\bchange (?:the )?(?P<what>[\w ]+?) from (?:an? )?[\w/ ]+? to (?:an? )?(?:simple )?(?P<type>yes/no|boolean|flag|number|integer|whole number|text|date|datetime|email|url)$",
        "change $what to $type",
    ),
    (r" (?:rather than|instead of) (?:every [\w ]+|hourly|daily|nightly|weekly)$", ""),
    (r"\bgo(?:es)? up to (?P<most>\d+)(?: now)?(?: instead of \d+)?\b", "is at most $most"),
    (r" is an? percentage,? (?:so )?(?:from )?(?P<least>\d+) (?:to|-) (?P<most>\d+)", " is from $least to $most"),
    (
        r"\badd (?:an? )?(?P<type>yes/no|boolean|text|number|integer|date|email|url) field,? (?:called |named |[\x22'])[\x22']?(?P<name>\w+)[\x22']?",
        "add a $name ($type)",
    ),
    // "We don't need the title any more, get rid of it" says it twice.
    (
        r"(?P<before>(?:don't|do not|no longer) (?:need|want|use) [\w ]+?(?: any ?more| any longer)?),? (?:and |so |please |just )*(?:get rid of|remove|drop|delete) (?:it|them|that)(?: please)?$",
        "$before",
    ),
    (
        r"^add (?P<value>[\w' -]+?) as (?:an?|another|a new|an additional|a further|one more)(?: possible| allowed)? (?P<what>[\w ]+?)(?: value| option)?$",
        "allow $value as a $what",
    ),
    (r"\b(?P<one>[a-z]+)'s (?P<field>[a-z]+(?: [a-z]+)?) (?P<verb>can|may|must|should|is|has|needs)\b", "$field of $one $verb"),
    (
        r" (?:can|may|could) (?:now |also )*be (?:left )?(?:optional|blank|empty|out|missing|omitted|null)\b| (?:needs? not|doesn't have to|does not have to|don't have to) be (?:given|filled in|there|set|present)\b",
        " is optional",
    ),
    (r"^(?:i|we)(?:'d| would)?(?: also)? (?:like|want|need)(?: to have| to add)?(?: also)? (?P<many>[a-z]+s),? with ", "add $many with "),
    (
        r"^(?:push|send|broadcast|stream|show|deliver) (?:live|real-?time) (?:updates?|changes?)\b(?: to (?:all |the |our )?(?:connected |open )?(?:clients|users|browsers|people|everyone|everybody))?(?: (?:when|whenever|as soon as|if|each time|every time) [\w ]+)?$",
        "add live updates",
    ),
    (r" to (?:an? |be an? )?(?:full )?date and time\b", " to a datetime"),
    (r"^call (?:the )?(?P<old>[\w ]+?) (?:field|column) (?P<new>\w+)(?: instead| from now on)?$", "rename $old to $new"),
    (r"^call (?:the )?(?P<old>\w+) (?P<new>\w+) instead$", "rename $old to $new"),
    (r"(?P<has>ha(?:s|ve) many [\w ]+), with ", "$has with "),
    (r" (?:that|which) (?:is|can be|may be) (?:either )?(?P<list>[\w'-]+(?: [\w'-]+)?(?:, ?[\w'-]+(?: [\w'-]+)?)*,? or )", " of $list"),
    (r",? and no two (?P<many>[a-z]+) (?:(?:can|may|should|must) )?(?:share|have) (?:it|the same(?: one| \w+)?|that)$", " and is unique"),
    (r"^no two (?P<many>[a-z]+) (?:(?:can|may|should|must) )?(?:share|have) (?:an?|the same|one) (?P<field>[\w ]+)$", "$field is unique"),
    (
        r"^(?:the )?(?P<what>[\w ]+?) (?:isn't|is not|aren't|are not|is no longer|are no longer) (?:needed|used|wanted)(?: any ?more| any longer)?(?:,? (?:so )?(?:please )?(?:remove|drop|delete) (?:it|them))?$",
        "remove $what",
    ),
    (r"\bcall (?:the )?(?:field )?[\x22'](?P<old>[\w ]+)[\x22'] [\x22'](?P<new>[\w ]+)[\x22']", "rename $old to $new"),
    (r",? in (?:its|their) place(?P<end>[.;]|$)", "$end"),
    (r"^add (?P<many>[a-z]+s): ", "$many have "),
    (
        r"^(?:please|pls|plz|kindly|(?:can|could) (?:you|we)(?: please)?|(?:i|we) (?:want|need|would like)(?: you)? to|(?:i|we)'d like to|let's|now|also) ",
        "",
    ),
    (r",? (?:instead|as well|too|from now on|please)(?P<end>[.;]|$)", "$end"),
    (r"^(?:i|we) (?:want|need|would like) (?P<one>(?:(?:every|each|all|the) )*[a-z]+) to have ", "$one have "),
    (
        r"\b(?:get rid of|take (?:away|out)|eliminate|(?:i|we) (?:don't|do not|no longer) (?:need|want)) (?P<what>[\w ]+?)(?: any ?more| any longer)?(?P<end>[.,;]|$| and\b)",
        "remove $what$end",
    ),
    (r"\bchange (?:the )?name of (?:the )?(?P<old>[\w ]+?) to ", "rename $old to "),
    (r"\breplace (?:the )?(?P<old>[\w ]+?) (?:with|by) (?P<new>an? [^.;]*)", "remove $old and add $new"),
    (r"\breplace (?:the )?(?P<old>[\w ]+?) (?:with|by) ", "rename $old to "),
    (r"\brename (?P<one>[\w ]+?) to (?P<new>\w+),? and (?P<other>[\w ]+?) to ", "rename $one to $new and rename $other to "),
    (r"\b(?:convert|transform|switch) (?P<what>[\w ]+?) (?:in)?to (?:an? )?", "change $what to "),
    (r"\b(?:should|must) (?:go|range|run) from\b", "is from"),
    (r"\b(?:let|allow|enable) (?:the |all )?(?:<PEOPLE>)(?: to)? (?P<do>(?:<SIGN>|search|upload|attach)\b)", "users can $do"),
    (r"\bmake it possible to (?P<do>(?:<SIGN>|search|upload|attach)\b)", "users can $do"),
    (r"\badd (?:an? )?(?:new )?(?:resource|entity|table|model|kind of thing)s? (?:called |named )?", "add "),
    (
        r"\b(?:an? )?(?:new )?(?:field|column|attribute|property) (?:called |named )?[\x22']?(?P<name>\w+)[\x22']? of type (?P<type>\w+)",
        "$name ($type)",
    ),
    (r"\b(?:an? )?(?:new )?(?:field|column|attribute|property) (?:called|named) [\x22']?(?P<name>\w+)[\x22']?", "$name"),
    (
        r"\badd an? (?P<what>[\w ]+?)(?: field)? to (?P<to>[\w ]+?),? (?:which|that) (?:must|should) be (?P<so>unique|required|optional)\b",
        "add a $so $what to $to",
    ),
    (r"^(?:the |all |each |every )?(?P<many>[a-z]+) (?:also )?needs? (?P<article>an?|the)\b", "$many have $article"),
];

/// The pattern of what stands for words above; a test compiles them all.
fn pattern(said: &str) -> Option<Regex> {
    with_words(said, WORDS)
}

const WORDS: &[(&str, &str)] = &[
    ("<PEOPLE>", PEOPLE),
    ("<CAN>", CAN),
    ("<SIGN>", SIGN),
    ("<DO>", DO),
    ("<MORE>", MORE),
    ("<FILE>", FILE),
    ("<HOLD>", HOLD),
    ("<END>", END),
    ("<END2>", r"(?P<end2>\s*[,.;]|\s*$|\s+and\b)"),
];

fn with_words(said: &str, words: &[(&str, &str)]) -> Option<Regex> {
    Regex::new(&words.iter().fold(format!("(?i){said}"), |pattern, (name, words)| pattern.replace(name, words))).ok()
}

/// Each pattern with its words, beside what goes with it.
pub(crate) fn compiled<T: Copy>(said: &[(&str, T)], words: &[(&str, &str)]) -> Vec<(Regex, T)> {
    said.iter().filter_map(|(said, with)| Some((with_words(said, words)?, *with))).collect()
}

/// Defaults behind what may be a list of values.
const DEFAULTS: &[(&str, &str)] = &[
    (r",? with (?:a )?default(?: value)?(?: of|:)? (?P<value>[\w.-]+)", " (default $value)"),
    (
        r",? which (?:is|starts) (?:at )?(?P<value>true|false|on|off|\d+) (?:to begin with|at first|initially|from the start)\b",
        " (default $value)",
    ),
    (r",? (?:which is |that is |being )?(?P<value>on|off|true|false|yes|no|\d+) by default\b", " (default $value)"),
];
static DEFAULT: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(DEFAULTS, WORDS));

static ALIKE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(PEOPLE_ALIKE, WORDS));
static PARTS: LazyLock<Vec<(Regex, Block)>> = LazyLock::new(|| compiled(BLOCKS, WORDS));
static REST: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(SAYINGS, WORDS));
static EARLIER: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(FIRST, WORDS));
static CHANGED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(CHANGES, WORDS));

fn first(text: &str) -> String {
    EARLIER.iter().fold(text.to_owned(), |text, (pattern, read)| pattern.replace_all(&text, *read).into_owned())
}

/// What is to change, with the verbs that are read.
pub(crate) fn change(sentence: &str) -> String {
    let sentence = first(sentence.trim_end_matches(['?', '!', '.', ' ']));
    CHANGED.iter().fold(sentence, |text, (pattern, read)| pattern.replace_all(&text, *read).into_owned())
}

/// The sentence as the rest reads it, what it asks for beside fields, and what is left of sentences that asked for that.
pub(crate) fn plain(sentence: &str) -> (String, Vec<Block>, Vec<String>) {
    let text = sentence.replace(['“', '”'], "\"").replace('’', "'").replace(" & ", " and ").replace(" w/ ", " with ");
    let text = DEFAULT.iter().fold(first(&text), |text, (pattern, read)| pattern.replace_all(&text, *read).into_owned());
    let text = clauses::plain(&text);
    let (text, mut blocks, left) = asides::take(&text, None);
    let mut text = sections::plain(&apart(&sections::dashed(&text)));
    for (pattern, read) in ALIKE.iter() {
        text = pattern.replace_all(&text, *read).into_owned();
    }
    let asked = |(pattern, _): &&(Regex, Block)| {
        pattern.find(&text).is_some_and(|found| !denied(&text[..found.start()]) && !denied(found.as_str()))
    };
    for (pattern, block) in PARTS.iter().filter(asked).map(|(pattern, block)| (pattern.clone(), *block)).collect::<Vec<_>>() {
        text = pattern.replace_all(&text, "$end").into_owned();
        if !blocks.contains(&block) {
            blocks.push(block);
        }
    }
    if let Some(live) = LIVE.as_ref().filter(|live| live.is_match(&text)) {
        text = live.replace(&text, "$article ").into_owned();
        blocks.push(Block::Websocket);
    }
    for (pattern, read) in REST.iter() {
        text = pattern.replace_all(&text, *read).into_owned();
    }
    (tidy(&several(&apart(&text))), blocks, left)
}

/// Each turns what comes behind it round.
pub(super) const DENYING: &[&str] = &[
    "no", "not", "without", "never", "nobody", "neither", "nor", "none", "nothing", "don't", "doesn't", "won't", "needn't", "can't",
    "cannot",
];
static DENIED: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(&format!(r"\b(?:{})\b[^.;:,]*$", DENYING.join("|"))));

/// Whether what comes behind is said not to be, or what is said.
pub(super) fn denied(before: &str) -> bool {
    DENIED.as_ref().is_some_and(|denied| denied.is_match(before))
}

static WITH_FASTAPI: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r",?\s*\b(?:with|using|in|on|by|via|built (?:with|in|on)|based on) (?:python(?: and|'s)? )?fast ?api\b(?: framework\b)?")
});
static A_FASTAPI: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"\b(?:python )?fast ?api\b(?: (?:rest )?(?:api|app|application|service|backend|project|server)\b)?"));

/// The sentence without it, and whether it asks for FastAPI.
pub(crate) fn fastapi(sentence: &str) -> (String, bool) {
    for (pattern, read) in [(&WITH_FASTAPI, ""), (&A_FASTAPI, "REST API")] {
        if let Some(pattern) = pattern.as_ref().filter(|pattern| pattern.is_match(sentence)) {
            return (pattern.replace(sentence, read).into_owned(), true);
        }
    }
    (sentence.to_owned(), false)
}

static SLASHES: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?P<name>[a-z]+): ?(?P<values>[\w-]+(?:/[\w-]+)+)"));

/// "posts(title)" is "posts (title)", "status: new/paid" is "status of new or paid", and a dash between words ends what was said.
fn apart(text: &str) -> String {
    let text = text.replace(" - ", ". ").replace(" – ", ". ").replace(" — ", ". ").replace('(', " (").replace("  (", " (");
    let Some(slashes) = SLASHES.as_ref() else { return text };
    let listed = |found: &Captures<'_>| {
        let (first, last) = found["values"].rsplit_once('/').unwrap_or_default();
        format!("{} of {} or {last}", &found["name"], first.replace('/', ", "))
    };
    slashes.replace_all(&text, listed).into_owned()
}

static SEVERAL: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?P<many>[a-z]+s) with (?P<next>[a-z])"));

/// "spots with a number, vehicles with a plate": with several of them, each has what is said behind it.
fn several(text: &str) -> String {
    let Some(pattern) = SEVERAL.as_ref() else { return text.to_owned() };
    let many = |found: &Captures<'_>| super::words::is_many(&found["many"].to_lowercase());
    if pattern.captures_iter(text).filter(|found| many(found)).count() < 2 {
        return text.to_owned();
    }
    let have = |found: &Captures<'_>| match many(found) {
        true => format!("{} have {}", &found["many"], &found["next"]),
        false => found[0].to_owned(),
    };
    pattern.replace_all(text, have).into_owned()
}

/// "A live scoreboard", not "a live recording date".
static LIVE: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"^(?P<article>(?:[\w' ]+ )?an?) (?:real-?time|live) "));
/// Single blanks, and no comma before what ends a clause.
fn tidy(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (odd, even) in [
        (" ,", ","),
        (" .", "."),
        (",,", ","),
        (",.", "."),
        (".,", ","),
        ("..", "."),
        (". .", "."),
        (", ,", ","),
        (",;", ";"),
        (":.", "."),
        (":,", ","),
    ] {
        text = text.replace(odd, even);
    }
    text.trim_start_matches([',', '.', ' ']).trim_end_matches([',', '.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_say_is_said_alike() {
        let compiled = (ALIKE.len(), PARTS.len(), REST.len(), CHANGED.len(), EARLIER.len(), DEFAULT.len());
        let patterns = (PEOPLE_ALIKE.len(), BLOCKS.len(), SAYINGS.len(), CHANGES.len(), FIRST.len(), DEFAULTS.len());
        assert_eq!(compiled, patterns, "each is a pattern");
        assert!(LIVE.is_some() && SLASHES.is_some() && SEVERAL.is_some() && WITH_FASTAPI.is_some() && A_FASTAPI.is_some());
        for (said, read, blocks) in [
            ("a todo app where each user can log in", "a todo app", &[Block::Authentication][..]),
            ("notes, where users can sign up and log in, and each user sees only their own notes", "notes", &[Block::Authentication]),
            ("A gallery where users log in and upload photos", "A gallery", &[Block::Authentication, Block::FileUpload]),
            ("For each book I want a title and an author", "Each book has a title and an author", &[]),
            ("tasks should have a required title", "tasks have a required title", &[]),
            ("a status which is pending, paid or shipped", "a status of pending, paid or shipped", &[]),
            ("status can be open or closed", "status of open or closed", &[]),
            ("a price and whether it is available", "a price and a available flag", &[]),
            ("a CRM for my small business with companies", "a CRM with companies", &[]),
            (
                "Keep track of my vinyl records: artist, title and year",
                "Keep track of my vinyl records. vinyl records have artist, title and year",
                &[],
            ),
            ("an inventory service: products have a name", "an inventory service. products have a name", &[]),
            ("API for books. It should be searchable by title", "API for books", &[Block::Search]),
            ("an app that lets me track plants with a name", "an app for plants with a name", &[]),
            ("a live scoreboard for teams", "a scoreboard for teams", &[Block::Websocket]),
            (
                "a database with movies (title, year) and reviews (text, stars) of a movie",
                "a database with movies and reviews. movies have title, year. reviews have text, stars. reviews belong to a movie",
                &[],
            ),
            ("shirts with sizes (S, M or L)", "shirts with sizes (S, M or L)", &[]),
        ] {
            assert_eq!(plain(said), (read.to_owned(), blocks.to_vec(), Vec::new()), "{said}");
        }
    }
}
