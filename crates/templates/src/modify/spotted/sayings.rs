//! What people say of fields, things and values that are there, and the words that are read.

use std::sync::LazyLock;

use regex::Regex;

use super::names::{FIELD, MOST, THING, VALUE, mark};

/// In this order, each as often as it applies. `<F>`, `<R>` and `<V>` are a field, a thing and a value that are there; `<N>` is a number.
const SAID: &[(&str, &str)] = &[
    (r"\bzero\b", "0"),
    (
        r"(?P<n><N>) ?(?:percent|%|euros?|dollars?|€|kg|km|minutes|hours|days|people|persons|items|pieces|stars|points)(?P<end>[ ,.]|$)",
        "$n$end",
    ),
    (r"\b(?:chars|letters|signs|symbols)\b", "characters"),
    (r"\bcharacters long\b", "characters"),
    (r"^<F>(?:,|:)? (?:which|that|who) ", "$f "),
    (r"^<F>: ", "$f "),
    (
        r",? (?:but|and|though|although) (?:nobody|no one|it|they|that|this|people|not everybody|not everyone)(?: [a-z]+)* (?:give it|enter it|optional|fill it in|provide it|has one|have one|say it|mandatory|required)$",
        ", optional",
    ),
    (
        r", (?:if known|if any|if there is one|if they have one|where known|which is optional|which may be empty|not mandatory|not required)$",
        ", optional",
    ),
    // Bounds.
    (
        r" (?:(?:can|may|must|should|shall|could|will|is|are|be) ?)*(?:not|never|n't)(?: ever)? (?:be |go |get |fall |drop |become )?negative\b",
        " at least 0",
    ),
    (
        r" (?:(?:can|may|must|should|shall|could|will|is|are) ?)*(?:not|never)(?: ever)? (?:be |go |get |fall |drop )?(?:below|under|less than|lower than|smaller than|fewer than|shorter than) (?P<n><N>)",
        " at least $n",
    ),
    (
        r" (?:(?:can|may|must|should|shall|could|will|is|are) ?)*(?:not|never|no)(?: ever)? (?:be |go |get |rise |last )?(?:above|over|beyond|more than|higher than|greater than|larger than|longer than|bigger than|exceed|past) (?P<n><N>)",
        " at most $n",
    ),
    (
        r" (?:(?:can|may|must|should|is|are|be|has|have|goes|go|starts?) ?)*(?:at least|a minimum of|minimum|min\.?|no less than|not less than|upwards of|from at least) (?P<n><N>)",
        " at least $n",
    ),
    (
        r" (?:(?:can|may|must|should|is|are|be|has|have|goes|go) ?)*(?:at most|a maximum of|maximum|max\.?|no more than|not more than|up to|limited to|capped at|cut off at) (?P<n><N>)",
        " at most $n",
    ),
    (
        r" (?P<n><N>)(?P<c> characters)?,? (?:at most|at the most|maximum|max\.?|tops|or less|or fewer|or below)(?P<end>[ ,.]|$)",
        " at most $n$c$end",
    ),
    (
        r" (?P<n><N>)(?P<c> characters)?,? (?:at least|at the least|minimum|min\.?|or more|or above|or higher|and up|and above)(?P<end>[ ,.]|$)",
        " at least $n$c$end",
    ),
    (
        r" (?:(?:can|may|must|should|is|are|be|goes|go|has|have|lies|run|runs) ?)*(?:between|from) (?P<n><N>) (?:and|to|up to|-) (?P<m><N>)",
        " from $n to $m",
    ),
    (r" (?:(?:is|are|be|must|should|can) )+(?P<n><N>) ?(?:-|–|to|\.\.) ?(?P<m><N>)", " from $n to $m"),
    (
        r"\b(?:nobody|no one|no <R>|you|users?|people|they|<R>)(?: (?:may|can|could|should|must|is allowed to|are allowed to))?(?: ever)?(?: (?:not|never))?(?: [a-z]+)? at most (?P<n><N>) (?:of )?<F>",
        "$f at most $n",
    ),
    (
        r"^(?:the )?(?:max(?:imum)?|upper limit|limit|most)(?: (?:of|for|on))? <F> (?:is|should be|must be|becomes|goes up to|goes to|to|of) (?P<n><N>)$",
        "$f at most $n",
    ),
    (
        r"^(?:the )?(?:min(?:imum)?|lower limit|least)(?: (?:of|for|on))? <F> (?:is|should be|must be|becomes|goes up to|goes to|to|of) (?P<n><N>)$",
        "$f at least $n",
    ),
    (
        r"^(?:set|raise|lower|increase|reduce|change|cap|limit|put) (?:the )?(?:max(?:imum)?|upper limit|limit)(?: (?:of|for|on))? <F> (?:to|at) (?P<n><N>)$",
        "$f at most $n",
    ),
    (
        r"^(?:set|raise|lower|increase|reduce|change) (?:the )?(?:min(?:imum)?|lower limit)(?: (?:of|for|on))? <F> (?:to|at) (?P<n><N>)$",
        "$f at least $n",
    ),
    (
        r"^(?:cap|limit|restrict|keep|hold) <F> (?:to|at|at most|under|below)? ?(?:at most )?(?P<n><N>)(?P<c> characters)?$",
        "$f at most $n$c",
    ),
    (r",? (?:which|that|it)(?: is| are| must be| should be)? (?P<bound>at least|at most|from) ", " of $bound "),
    (r"^(?:nobody|no one|no <R>|never)(?: [a-z]+){0,3} more than (?P<n><N>) (?:of )?<F>$", "$f at most $n"),
    (r"^(?:nobody|no one|no <R>|never)(?: [a-z]+){0,3} (?:less|fewer) than (?P<n><N>) (?:of )?<F>$", "$f at least $n"),
    (
        r" (?:(?:can|may|must|should|shall|could|will|is|are|be) ?)*(?:greater|more|higher|larger|bigger|longer) than (?P<n><N>)",
        " greater than $n",
    ),
    (r" (?:(?:can|may|must|should|shall|could|will|is|are|be) ?)*(?:less|lower|fewer|smaller|shorter) than (?P<n><N>)", " less than $n"),
    (r",? (?:so |and )+(?:please )?(?:make|let) (?:it|them|that) (?:be )?(?P<so>optional|required|unique)$", ""),
    // Names.
    (
        r"^(?:instead of|in place of|rather than) <F>,? (?:we|i|you)?(?: only| just| really)? ?(?:want|need|use|keep|store|have|like) (?:an? |the |only |just )*(?P<new>[\w -]+?),? (?:as|which is) (?:an? )?(?P<type><T>)$",
        "rename $f to $new. make $new $type",
    ),
    (
        r"^(?:instead of|in place of|rather than) <F>,? (?:we|i|you)?(?: only| just| really)? ?(?:want|need|use|keep|store|have|like) (?:an? |the |only |just )*(?P<new>[\w -]+)$",
        "rename $f to $new",
    ),
    (
        r"^<F> (?:is|are|should be|must be|will be|gets?|be)(?: to be)? (?:called|named|renamed|known as|labelled)(?: to| as)? (?P<new>[\w -]+)$",
        "rename $f to $new",
    ),
    (r"^(?:rename|call|name|retitle|label) <F>(?: (?:to|into|as))? (?P<new>[\w -]+)$", "rename $f to $new"),
    (r"^(?:change|switch) (?:the )?(?:name|label|title) of <F> (?:to|into) (?P<new>[\w -]+)$", "rename $f to $new"),
    (
        r"^(?:use|say|write|call it|call them|name it) (?:the (?:name|word) )?(?P<new>[\w -]+?) (?:instead of|rather than|in place of|not) <F>$",
        "rename $f to $new",
    ),
    (
        r"^<R> (?:is|are|should be|must be|will be|gets?|be)(?: to be)? (?:called|named|renamed|known as)(?: to| as)? (?P<new>[\w -]+)$",
        "rename $r to $new",
    ),
    (r"^(?:rename|call|name) <R>(?: (?:to|into|as))? (?P<new>[\w -]+)$", "rename $r to $new"),
    // What goes.
    (
        r"^(?:drop|lose|delete|remove|get rid of|kill|scrap|ditch|throw (?:out|away)|take out|discard|cut|strip|erase|leave out) (?P<what><X>(?:(?:,| and|, and) <X>)*)(?: (?:from|of|in|on) <R>)?$",
        "remove $what",
    ),
    (
        r"^(?:we|i|you|nobody|no one|people|they|users?) (?:really )?(?:(?:do|does)(?: not|n't)|no longer|never|have no)(?: really)? ?(?:needs?|uses?|wants?|stores?|keeps?|tracks?|records?|collects?|asks? for|use for|need for) (?P<what><X>(?:(?:,| and|, and|,? or) <X>)*)(?:,? (?:so )?(?:just |please )*(?:remove|drop|delete|get rid of) (?:it|them|those|that))?$",
        "remove $what",
    ),
    (
        r"^(?:nobody|no one) (?:needs|uses|wants|reads|fills in|looks at) (?P<what><X>)(?:,? (?:so )?(?:please )?(?:remove|drop|delete|get rid of) (?:it|them|that))?$",
        "remove $what",
    ),
    (
        r"^(?P<what><X>(?:(?:,| and|, and) <X>)*) (?:(?:is|are) (?:no longer|not) (?:needed|used|wanted|relevant|necessary|of use)|(?:can|should|must|has to|have to|may|could|will) (?:all )?(?:go|be removed|be dropped|be deleted|be left out|disappear)|(?:is|are) (?:obsolete|superfluous|useless|unused))(?:,? (?:so )?(?:please )?(?:remove|drop|delete|get rid of) (?:it|them|those|that))?$",
        "remove $what",
    ),
    (r"^(?:no more|stop (?:storing|keeping|tracking|asking for|recording|collecting)) (?P<what><X>)$", "remove $what"),
    (r"^take (?P<value><V>) (?:off|out of|from) (?:the )?(?:list of |possible )?<F>(?: list| options| values)?$", "without $value"),
    (r"^take (?P<what><X>)(?: (?:out|away|off))+(?: (?:of|from) <R>)?$", "remove $what"),
    // What may be there twice, or left out.
    (
        r"^<R> (?:(?:do|does) not (?:must|have to|need to)|need not|(?:no longer|not) (?:must|has to|have to|needs? to))(?: always)? (?:be (?:in|at|on|part of|of|with)|belong to|have) <F>$",
        "make $f optional",
    ),
    (r"^<R> (?:can|may|could)(?: also)? (?:be|exist|live|do) without <F>$", "make $f optional"),
    (
        r"^<F> (?:(?:need|must|do|does|is|are) ?(?:not|n't)|no longer|may|can)(?: (?:must|has to|have to|needs? to|be))* (?:unique|repeat|occur twice|be used twice|be the same|be shared)$",
        "make $f not unique",
    ),
    (r"^(?:several|many|two|different|multiple) <R> (?:may|can|could) (?:have|share|use) the same <F>$", "make $f not unique"),
    (r"^(?:allow|permit|accept) (?:duplicate|the same|repeated) <F>$", "make $f not unique"),
    (
        r"^(?:no two|two|different) <R> (?:must|may|can|should|could)?(?: not| never)? ?(?:have|share|use) (?:the same|one|a) <F>$",
        "make $f unique",
    ),
    (r"^(?:no|do not allow|don't allow|forbid|prevent|avoid) (?:duplicate|repeated|double) <F>$", "make $f unique"),
    (
        r"^(?:the same )?<F> (?:(?:must|may|can|should) ?not|never|cannot)(?: (?:ever|be))* (?:used |occur |appear |exist |there |taken |given )?(?:twice|more than once|the same|repeat|repeated|duplicated)$",
        "make $f unique",
    ),
    (
        r"^<F> (?:is|are|must be|should be|shall be|be|becomes?|has to be|can only be used once|may only be used once)(?: always)? (?:unique|once|one of a kind)(?P<more> and [^.]*|, [^.]*)?$",
        "make $f unique. $f$more",
    ),
    (
        r"^<F> (?:is|are|be|becomes?|can be|may be|should be|could be)(?: made)? (?:optional|voluntary|not mandatory|not required|not obligatory|not compulsory|not needed|no longer (?:required|mandatory|obligatory|compulsory))$",
        "make $f optional",
    ),
    (r"^<F> (?:isn't|aren't|is not|are not) (?:mandatory|required|obligatory|compulsory)$", "make $f optional"),
    (
        r"^<F> (?:can|may|could|should be able to) (?:also )?(?:be |stay |remain )?(?:left )?(?:empty|blank|out|missing|omitted|skipped|unknown|be empty)$",
        "make $f optional",
    ),
    (
        r"^<F> (?:need not|needn't|does not must|do not must) (?:be )?(?:given|filled in|there|set|present|provided|entered|known|required|mandatory)$",
        "make $f optional",
    ),
    (r"^(?:allow|let|permit) <F> (?:to )?(?:be |stay )?(?:left )?(?:empty|blank|out|missing|omitted|optional)$", "make $f optional"),
    (
        r"^(?:(?:nobody|no one) (?:has to|needs to|must|is (?:forced|obliged|required|made) to)|(?:people|users?|you|they|customers?|everybody|<R>) (?:(?:do|does) not (?:have|need) to|need not|no longer (?:have|has|needs?) to|(?:is|are) not (?:forced|obliged|required) to|should not (?:have|need) to)) (?:give|enter|fill in|provide|specify|have|say|tell) <F>$",
        "make $f optional",
    ),
    (r"^not(?: (?:every|all|each|everybody|everyone))?(?: of)? ?(?:<R>|them)? (?:has|have|gives?) <F>$", "make $f optional"),
    (
        r"^<F> (?:is|are|must be|should be|becomes?|be|shall be|must always be|should always be)(?: made)? (?:required|mandatory|obligatory|compulsory|given|filled in|present|there|provided|set)$",
        "make $f required",
    ),
    (
        r"^<F> (?:must not|mustn't|cannot|can't|may not|should not|shouldn't|must never|can never|can no longer|may no longer) (?:be |stay )?(?:left )?(?:empty|blank|out|missing|omitted|skipped|optional)$",
        "make $f required",
    ),
    (
        r"^(?:make )?<F>(?: is| are| be| must be)? required,? (?:with|and)(?: has)?(?: a| the)? default(?: value)?(?: of| is)? (?P<value><V>|<N>|\w+)$",
        "make $f required. default $f to $value",
    ),
    (
        r"^(?:people|users?|you|they|customers?|everybody|everyone|<R>) (?:must|have to|has to|needs? to|should) (?:always )?(?:give|enter|fill in|provide|specify) <F>$",
        "make $f required",
    ),
    (r"^(?:every|each|all|any)? ?<R> (?:must|needs? to|has to|have to) (?:always )?have <F>$", "make $f required"),
    (r"^(?:always (?:ask for|require)|require|insist on|do not (?:allow|accept) <R> without) <F>$", "make $f required"),
    // Defaults.
    (
        r"^<F>(?: is| are)? (?:at least|from) (?P<n><N>) and (?:starts?|begins?) (?:at|with|as|from|out at) (?P<value><V>|<N>|\w+)$",
        "make $f at least $n. default $f to $value",
    ),
    (
        r"^(?P<first><F> .*?),? and (?:it |they )?(?:starts?|begins?|defaults?) (?:at|with|as|from|to|out at) (?P<value><V>|<N>|\w+)$",
        "$first. default $f to $value",
    ),
    (
        r"^<F> (?:should |must |will )?(?:starts?|begins?|defaults?)(?: out)?(?: at| with| as| to| from)? (?P<value><V>|<N>|\w+)$",
        "default $f to $value",
    ),
    (r"^<F>(?: should be| is| are| must be| be)? (?P<value><V>|<N>|\w+) by default$", "default $f to $value"),
    (r"^by default,? <F>(?: should be| is| are| must be)? (?P<value><V>|<N>|\w+)$", "default $f to $value"),
    (
        r"^(?:set |make |let )?(?:the )?default(?: value)?(?: of| for)? <F>(?: is| be| to| should be| of)* (?P<value><V>|<N>|\w+)$",
        "default $f to $value",
    ),
    (r"^(?:use|take|make|set) (?P<value><V>|<N>) (?:as )?(?:the )?default(?: value)?(?: of| for) <F>$", "default $f to $value"),
    (
        r"^(?:a )?new <R>s? (?:should be|is|are|starts? as|starts? out as|begins? as|gets?|should start as|should have|has|have|starts? with)(?: <F>)? (?P<value><V>)(?: by default| at first| initially| unless [^.]*)?$",
        "default $value",
    ),
    (r"^(?P<value><V>) (?:is|should be|shall be|becomes) the default(?: value)?(?: (?:of|for) <F>)?$", "default $value"),
    (r"^(?:unless [^,]*,? )<F> (?:is|are|should be) (?P<value><V>|<N>|\w+)$", "default $f to $value"),
    (
        r"^(?:if nobody says(?: otherwise| anything)?|unless [^,]*|if nothing is said|without a word),? <F> (?:is|are|should be|becomes) (?P<value><V>|<N>|\w+)$",
        "default $f to $value",
    ),
    (
        r"^(?:(?:if nobody says [^,]*|if nothing is said|unless [^,]*|by default|normally|usually|as a rule),? )(?:(?:each|every|an?|all|the) )*<R>(?: (?:should|must|will))? (?:has|have|gets?|starts? with) (?P<value><N>) <F>$",
        "default $f to $value",
    ),
    // Values.
    (r"^(?:call|rename|name) (?:<F> )?(?P<value><V>) (?:to |into |as )?(?P<new>[\w-]+(?: [\w-]+)?)$", "instead of $value: $new"),
    (r"^(?P<value><V>) (?:is|should be|must be|gets) (?:called|named|renamed to) (?P<new>[\w-]+(?: [\w-]+)?)$", "instead of $value: $new"),
    (r"^(?:we|i|you) (?:(?:do|does)(?: not|n't)|no longer)(?: \w+)? (?P<value><V>)(?:,.*)?$", "without $value"),
    (
        r"^(?:remove|drop|delete|take out|get rid of) (?P<value><V>)(?: from (?:the )?(?:list of |possible )?<F>| as an? <F>| <F>)?$",
        "without $value",
    ),
    (
        r"^(?P<value><V>) (?:is no longer|isn't|is not) (?:an? )?(?:allowed |valid |possible )?(?:<F>|option|value|allowed|possible|needed|used)$",
        "without $value",
    ),
    (
        r"^(?:add|introduce|allow|offer|support) (?:another |a |an |the )?(?:new |further |additional )?(?:<F>|value|option)(?: called| named|:| of| option| value)* (?P<new>[\w-]+(?: [\w-]+)?)$",
        "allow $new as a $f",
    ),
    (
        r"^(?:add|introduce|allow|offer|put|include) (?P<new>[\w-]+(?: [\w-]+)?) (?:as (?:an?|another|one more|a new|a further)(?: possible)?|to(?: the)?(?: list of| possible| allowed)*) <F>$",
        "allow $new as a $f",
    ),
    (
        r"^(?:put|include|list|offer) (?P<new>[\w-]+(?: [\w-]+)?) (?:in|into|on|under|among) <F>(?: list| options| values)?$",
        "allow $new as a $f",
    ),
    (r"^<F> (?:can|may|could|should) (?:also |now |from now on )+be (?P<new>[\w-]+(?: [\w-]+)?)$", "allow $new as a $f"),
    (r"^(?:we|i) (?:also )?(?:need|want) (?:an?|another|one more) (?P<new>[\w-]+) <F>$", "allow $new as a $f"),
    (
        r"^<F>[:,]? (?:[^:]*?\b)?(?:use|choose from|a choice of|the choice of|a choice between|choose|pick|one of|either|only|to|be|is|are|of|options:?|values:?) (?P<list>[\w'-]+(?: [\w'-]+)?(?: ?[,/|] ?[\w'-]+(?: [\w'-]+)?)*(?:,? ?(?:or|and|/|\||,) ?)[\w'-]+(?: [\w'-]+)?)$",
        "values of $f: $list",
    ),
    (
        r"^(?:change|turn|make|convert|switch|set) <F> (?:in)?(?:to )?(?:be )?(?:an? )?(?:(?:choice|list|selection|enum|dropdown|option)s? )?(?:of |between |from |with )?(?:the )?(?:values |options )?(?P<list>[\w'-]+(?: [\w'-]+)?(?: ?[,/|] ?[\w'-]+(?: [\w'-]+)?)*(?:,? ?(?:or|and|/|\||,) ?)[\w'-]+(?: [\w'-]+)?)$",
        "values of $f: $list",
    ),
    // Types.
    (
        r"^<F> (?:is|are|should be|must be|becomes?|be|needs to be|has to be|ought to be|should become)(?: (?:kept|stored|saved))?(?: as)? (?:an? |the )?(?P<type><T>)(?: field| value)?(?P<rest>(?:,? (?:that|which|and|of) .*)?)$",
        "make $f $type. $f$rest",
    ),
    (
        r"^(?:turn|change|convert|make|switch|store|keep|save|treat|set) <F> (?:in)?(?:to |as )?(?:be )?(?:an? |the )?(?P<type><T>)(?: field| value)?$",
        "make $f $type",
    ),
    // What comes.
    (r"^<R>:? (?:\+|plus|and|add|also|with) (?P<what>[^:]+)$", "plus $what to $r"),
    (
        r"^(?:store|record|keep(?: track of)?|note|save|track|put|introduce|include|append|attach|collect|capture|add|enter|ask for)(?: down)?(?: also)? (?P<what>(?:an? |the |their |its )?[^:]+?) (?:to|for|of|per|on|with|in|from|at) (?:(?:each|every|all|the|our|any|a|an) )*<R>$",
        "plus $what to $r",
    ),
    (
        r"^(?:for|to|on|in|with) (?:(?:each|every|all|the|our|any|a|an) )*<R>,? (?:we |i |please )?(?:also )?(?:need|want|store|record|keep|add|note|save|track|have) (?:to (?:know|store|record|keep|track|have) )?(?P<what>(?:an? |the |their |its )?[^:]+)$",
        "plus $what to $r",
    ),
    (
        r"^(?:(?:each|every|all|the|our|any|a|an) )*<R>(?: (?:should|must|shall|will|can|could))?(?: (?:also|now|all|each))* (?:gets?|needs?|has|have|wants?|receives?|carry|carries)(?: also| now)* (?P<what>(?:an? |the |their )?[^:]+)$",
        "plus $what to $r",
    ),
    (r"^give (?:(?:each|every|all|the|our|any|a|an) )*<R> (?P<what>(?:an? |the |their )?[^:]+)$", "plus $what to $r"),
    (
        r"^(?:we|i)(?: also)? (?:need|want|have to (?:store|know|record|keep)|need to (?:store|know|record|keep|track|have)|want to (?:store|know|record|keep|track|have|see))(?: also)? (?:(?P<who>their|its|his|her|an?|the|some) )(?P<what>[^:]+)$",
        "plus a $what to it",
    ),
    (
        r"^(?:we|i)(?: also)? (?:need|want|have)(?: to (?:store|know|record|keep|track|have|see))?(?: also)? (?:(?:each|every|all|the|our|any|an?) )*<R>'s (?P<what>[^:]+)$",
        "plus a $what to $r",
    ),
    (
        r"^(?:store|record|keep|note|save|track|include|add|collect|capture)(?: also)? (?:(?P<who>their|its|an?|the) )?(?P<what>[^:]+)$",
        "plus $what to it",
    ),
];

/// `<T>`: what fields are.
const TYPES: &str = "whole numbers?|integers?|decimal numbers?|decimals?|numbers?|texts?|strings?|dates? and times?|datetimes?|timestamps?|dates?|booleans?|flags?|yes/no|yes or no|e-?mail addresse?s?|e-?mails?|urls?|links?|long texts?|prices?|amounts? of money";

pub(super) static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let class = |first: u32| format!("[{}-{}]", mark(first, 0), mark(first, MOST - 1));
    let (field, thing, value) = (class(FIELD), class(THING), class(VALUE));
    let either = format!("(?:{field}|{thing})");
    // A group of one name stands once in a pattern.
    let mut compiled = Vec::new();
    for (said, read) in SAID {
        let once = |text: &str, word: &str, group: &str, class: &str| {
            text.replacen(word, &format!("(?P<{group}>{class})"), 1).replace(word, class)
        };
        let text = once(said, "<F>", "f", &field);
        let text = once(&text, "<R>", "r", &thing);
        let text = text.replace("<V>", &value).replace("<X>", &either).replace("<N>", r"-?\d+(?:\.\d+)?").replace("<T>", TYPES);
        compiled.extend(Regex::new(&format!("(?i){text}")).ok().map(|pattern| (pattern, *read)));
    }
    compiled
});
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_pattern() {
        assert_eq!(PATTERNS.len(), SAID.len());
    }
}
