//! The table of functions. Later entries hide earlier ones of the same name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Param::{
    Any, Bool, Containers, Dict, Duration, Float, Int, Mesh, Message, Meta, Reflect, Text, Texts, Time,
};
use super::refused::{CLOCK, CRYPTO, ENVIRONMENT, NETWORK, RANDOM};
use super::{Args, Call, Function, Param};
use super::{
    builtin, conversions, defaults, dicts, encoding, istio, lists, moments, numbers, paths, regexes, strings, urls,
    words,
};
use crate::template::value::{Outcome, Runtime};

type Plain = fn(&Runtime<'_>, &Args<'_>) -> Outcome;

const fn f(name: &'static str, params: &'static [Param], call: Plain) -> Function {
    Function { name, params, variadic: false, call: Call::Plain(call) }
}

/// The last parameter any number of times.
const fn v(name: &'static str, params: &'static [Param], call: Plain) -> Function {
    Function { name, params, variadic: true, call: Call::Plain(call) }
}

const fn no(name: &'static str, why: &'static str) -> Function {
    Function { name, params: &[Any], variadic: true, call: Call::Refused(why) }
}

const fn first(name: &'static str, is: bool) -> Function {
    Function { name, params: &[Reflect, Reflect], variadic: true, call: Call::FirstThatIs(is) }
}

const GO: &[Function] = &[
    first("and", false),
    first("or", true),
    v("call", &[Reflect, Reflect], builtin::call),
    v("html", &[Any], encoding::html),
    v("index", &[Reflect, Reflect], builtin::index),
    v("js", &[Any], encoding::js),
    f("len", &[Reflect], builtin::len),
    f("not", &[Reflect], builtin::not),
    v("print", &[Any], builtin::print),
    v("printf", &[Text, Any], builtin::printf),
    v("println", &[Any], builtin::println),
    v("urlquery", &[Any], encoding::urlquery),
    v("eq", &[Reflect, Reflect], builtin::eq),
    f("ge", &[Reflect, Reflect], builtin::ge),
    f("gt", &[Reflect, Reflect], builtin::gt),
    f("le", &[Reflect, Reflect], builtin::le),
    f("lt", &[Reflect, Reflect], builtin::lt),
    f("ne", &[Reflect, Reflect], builtin::ne),
];

const STRINGS: &[Function] = &[
    f("hello", &[], strings::hello),
    f("abbrev", &[Int, Text], strings::abbrev),
    f("abbrevboth", &[Int, Int, Text], strings::abbrevboth),
    f("trunc", &[Int, Text], strings::trunc),
    f("trim", &[Text], strings::trim),
    f("upper", &[Text], strings::upper),
    f("lower", &[Text], strings::lower),
    f("title", &[Text], words::title),
    f("untitle", &[Text], words::untitle),
    f("substr", &[Int, Int, Text], strings::substr),
    f("repeat", &[Int, Text], strings::repeat),
    f("trimall", &[Text, Text], strings::trim_all),
    f("trimAll", &[Text, Text], strings::trim_all),
    f("trimSuffix", &[Text, Text], strings::trim_suffix),
    f("trimPrefix", &[Text, Text], strings::trim_prefix),
    f("nospace", &[Text], words::nospace),
    f("initials", &[Text], words::initials),
    f("swapcase", &[Text], words::swapcase),
    f("snakecase", &[Text], words::snakecase),
    f("camelcase", &[Text], words::camelcase),
    f("kebabcase", &[Text], words::kebabcase),
    f("wrap", &[Int, Text], words::wrap),
    f("wrapWith", &[Int, Text, Text], words::wrap_with),
    f("hasPrefix", &[Text, Text], strings::has_prefix),
    f("hasSuffix", &[Text, Text], strings::has_suffix),
    v("quote", &[Any], strings::quote),
    v("squote", &[Any], strings::squote),
    v("cat", &[Any], strings::cat),
    f("nindent", &[Int, Text], strings::nindent),
    f("replace", &[Text, Text, Text], strings::replace),
    f("plural", &[Text, Text, Int], strings::plural),
    f("toString", &[Any], conversions::to_string),
    f("split", &[Text, Text], strings::split),
    f("splitList", &[Text, Text], strings::split_list),
    f("splitn", &[Text, Int, Text], strings::splitn),
    f("toStrings", &[Any], conversions::to_strings),
    f("join", &[Text, Any], strings::join),
    f("sortAlpha", &[Any], lists::sort_alpha),
    f("fail", &[Text], strings::fail),
];

const REGEXES: &[Function] = &[
    f("regexMatch", &[Text, Text], regexes::matches),
    f("mustRegexMatch", &[Text, Text], regexes::must_match),
    f("regexFindAll", &[Text, Text, Int], regexes::find_all),
    f("mustRegexFindAll", &[Text, Text, Int], regexes::find_all),
    f("regexFind", &[Text, Text], regexes::find),
    f("mustRegexFind", &[Text, Text], regexes::find),
    f("regexReplaceAll", &[Text, Text, Text], regexes::replace_all),
    f("mustRegexReplaceAll", &[Text, Text, Text], regexes::replace_all),
    f("regexReplaceAllLiteral", &[Text, Text, Text], regexes::replace_all_literal),
    f("mustRegexReplaceAllLiteral", &[Text, Text, Text], regexes::replace_all_literal),
    f("regexSplit", &[Text, Text, Int], regexes::split),
    f("mustRegexSplit", &[Text, Text, Int], regexes::split),
    f("regexQuoteMeta", &[Text], regexes::quote_meta),
];

const NUMBERS: &[Function] = &[
    f("atoi", &[Text], numbers::atoi),
    f("int64", &[Any], numbers::int64),
    f("int", &[Any], numbers::int),
    f("float64", &[Any], numbers::float64),
    v("seq", &[Int], numbers::seq),
    f("toDecimal", &[Any], numbers::to_decimal),
    f("until", &[Int], numbers::until),
    f("untilStep", &[Int, Int, Int], numbers::until_step),
    f("add1", &[Any], numbers::add1),
    v("add", &[Any], numbers::add),
    f("sub", &[Any, Any], numbers::sub),
    f("div", &[Any, Any], numbers::div),
    f("mod", &[Any, Any], numbers::modulo),
    v("mul", &[Any, Any], numbers::mul),
    f("add1f", &[Any], numbers::add1f),
    v("addf", &[Any], numbers::addf),
    v("subf", &[Any, Any], numbers::subf),
    v("divf", &[Any, Any], numbers::divf),
    v("mulf", &[Any, Any], numbers::mulf),
    v("biggest", &[Any, Any], numbers::max),
    v("max", &[Any, Any], numbers::max),
    v("min", &[Any, Any], numbers::min),
    v("maxf", &[Any, Any], numbers::maxf),
    v("minf", &[Any, Any], numbers::minf),
    f("ceil", &[Any], numbers::ceil),
    f("floor", &[Any], numbers::floor),
    v("round", &[Any, Int, Float], numbers::round),
];

const VALUES: &[Function] = &[
    v("default", &[Any, Any], defaults::default),
    f("empty", &[Any], defaults::empty),
    v("coalesce", &[Any], defaults::coalesce),
    v("all", &[Any], defaults::all),
    v("any", &[Any], defaults::any),
    f("ternary", &[Any, Any, Bool], defaults::ternary),
    f("deepCopy", &[Any], conversions::deep_copy),
    f("mustDeepCopy", &[Any], conversions::deep_copy),
    f("typeOf", &[Any], conversions::type_of),
    f("typeIs", &[Text, Any], conversions::type_is),
    f("typeIsLike", &[Text, Any], conversions::type_is_like),
    f("kindOf", &[Any], conversions::kind_of),
    f("kindIs", &[Text, Any], conversions::kind_is),
    f("deepEqual", &[Any, Any], conversions::deep_equal),
    f("semver", &[Text], conversions::semver),
    f("semverCompare", &[Text, Text], conversions::semver_compare),
];

const LISTS: &[Function] = &[
    v("tuple", &[Any], lists::list),
    v("list", &[Any], lists::list),
    f("append", &[Any, Any], lists::push),
    f("push", &[Any, Any], lists::push),
    f("mustAppend", &[Any, Any], lists::push),
    f("mustPush", &[Any, Any], lists::push),
    f("prepend", &[Any, Any], lists::prepend),
    f("mustPrepend", &[Any, Any], lists::prepend),
    f("first", &[Any], lists::first),
    f("mustFirst", &[Any], lists::first),
    f("rest", &[Any], lists::rest),
    f("mustRest", &[Any], lists::rest),
    f("last", &[Any], lists::last),
    f("mustLast", &[Any], lists::last),
    f("initial", &[Any], lists::initial),
    f("mustInitial", &[Any], lists::initial),
    f("reverse", &[Any], lists::reverse),
    f("mustReverse", &[Any], lists::reverse),
    f("compact", &[Any], lists::compact),
    f("mustCompact", &[Any], lists::compact),
    f("uniq", &[Any], lists::uniq),
    f("mustUniq", &[Any], lists::uniq),
    v("without", &[Any, Any], lists::without),
    v("mustWithout", &[Any, Any], lists::without),
    f("has", &[Any, Any], lists::has),
    f("mustHas", &[Any, Any], lists::has),
    v("slice", &[Any, Any], lists::slice),
    v("mustSlice", &[Any, Any], lists::slice),
    v("concat", &[Any], lists::concat),
    f("chunk", &[Int, Any], lists::chunk),
    f("mustChunk", &[Int, Any], lists::chunk),
];

const DICTS: &[Function] = &[
    v("dict", &[Any], dicts::dict),
    f("get", &[Dict, Text], dicts::get),
    f("set", &[Dict, Text, Any], dicts::set),
    f("unset", &[Dict, Text], dicts::unset),
    f("hasKey", &[Dict, Text], dicts::has_key),
    v("pluck", &[Text, Dict], dicts::pluck),
    v("keys", &[Dict], dicts::keys),
    v("pick", &[Dict, Text], dicts::pick),
    v("merge", &[Dict, Dict], dicts::merge),
    v("mergeOverwrite", &[Dict, Dict], dicts::merge_overwrite),
    v("mustMerge", &[Dict, Dict], dicts::merge),
    v("mustMergeOverwrite", &[Dict, Dict], dicts::merge_overwrite),
    f("values", &[Dict], dicts::values),
    v("dig", &[Any], dicts::dig),
];

const ENCODING: &[Function] = &[
    f("b64enc", &[Text], encoding::b64enc),
    f("b64dec", &[Text], encoding::b64dec),
    f("b32enc", &[Text], encoding::b32enc),
    f("b32dec", &[Text], encoding::b32dec),
    f("sha1sum", &[Text], encoding::sha1sum),
    f("sha256sum", &[Text], encoding::sha256sum),
    f("sha512sum", &[Text], encoding::sha512sum),
    f("adler32sum", &[Text], encoding::adler32sum),
    f("fromJson", &[Text], encoding::from_json),
    f("mustFromJson", &[Text], encoding::must_from_json),
    f("toJson", &[Any], encoding::to_json),
    f("mustToJson", &[Any], encoding::must_to_json),
    f("toPrettyJson", &[Any], encoding::to_pretty_json),
    f("mustToPrettyJson", &[Any], encoding::must_to_pretty_json),
    f("toRawJson", &[Any], encoding::to_raw_json),
    f("mustToRawJson", &[Any], encoding::to_raw_json),
    f("urlParse", &[Text], urls::parse),
    f("urlJoin", &[Dict], urls::join),
    f("base", &[Text], paths::base),
    f("dir", &[Text], paths::dir),
    f("clean", &[Text], paths::clean),
    f("ext", &[Text], paths::ext),
    f("isAbs", &[Text], paths::is_abs),
    f("osBase", &[Text], paths::base),
    f("osDir", &[Text], paths::dir),
    f("osClean", &[Text], paths::clean),
    f("osExt", &[Text], paths::ext),
    f("osIsAbs", &[Text], paths::is_abs),
];

const TIMES: &[Function] = &[
    f("date", &[Text, Any], moments::date),
    f("date_in_zone", &[Text, Any, Text], moments::date_in_zone),
    f("dateInZone", &[Text, Any, Text], moments::date_in_zone),
    f("date_modify", &[Text, Time], moments::date_modify),
    f("dateModify", &[Text, Time], moments::date_modify),
    f("must_date_modify", &[Text, Time], moments::must_date_modify),
    f("mustDateModify", &[Text, Time], moments::must_date_modify),
    f("htmlDate", &[Any], moments::html_date),
    f("htmlDateInZone", &[Any, Text], moments::html_date_in_zone),
    f("toDate", &[Text, Text], moments::to_date),
    f("mustToDate", &[Text, Text], moments::must_to_date),
    f("unixEpoch", &[Time], moments::unix_epoch),
    f("duration", &[Any], moments::duration),
    f("durationRound", &[Any], moments::duration_round),
];

const REFUSED: &[Function] = &[
    no("now", CLOCK),
    no("ago", CLOCK),
    no("expandenv", ENVIRONMENT),
    no("getHostByName", NETWORK),
    no("randAlphaNum", RANDOM),
    no("randAlpha", RANDOM),
    no("randAscii", RANDOM),
    no("randNumeric", RANDOM),
    no("randBytes", RANDOM),
    no("randInt", RANDOM),
    no("shuffle", RANDOM),
    no("uuidv4", RANDOM),
    no("bcrypt", CRYPTO),
    no("htpasswd", CRYPTO),
    no("genPrivateKey", CRYPTO),
    no("derivePassword", CRYPTO),
    no("buildCustomCert", CRYPTO),
    no("genCA", CRYPTO),
    no("genCAWithKey", CRYPTO),
    no("genSelfSignedCert", CRYPTO),
    no("genSelfSignedCertWithKey", CRYPTO),
    no("genSignedCert", CRYPTO),
    no("genSignedCertWithKey", CRYPTO),
    no("encryptAES", CRYPTO),
    no("decryptAES", CRYPTO),
];

const ISTIO: &[Function] = &[
    f("formatDuration", &[Duration], istio::format_duration),
    f("isset", &[Texts, Text], istio::isset),
    f("excludeInboundPort", &[Any, Text], istio::exclude_inbound_port),
    f("includeInboundPorts", &[Containers], istio::include_inbound_ports),
    f("kubevirtInterfaces", &[Text], istio::same),
    f("excludeInterfaces", &[Text], istio::same),
    f("applicationPorts", &[Containers], istio::application_ports),
    f("annotation", &[Meta, Text, Any], istio::annotation),
    f("valueOrDefault", &[Any, Any], istio::value_or_default),
    f("toJSON", &[Texts], istio::to_json),
    f("fromJSON", &[Text], istio::from_json),
    f("structToJSON", &[Any], istio::struct_to_json),
    f("protoToJSON", &[Message], istio::proto_to_json),
    f("toYaml", &[Any], istio::to_yaml),
    f("indent", &[Int, Text], istio::indent),
    f("directory", &[Text], paths::directory),
    f("contains", &[Text, Text], strings::contains),
    f("toLower", &[Text], strings::lower),
    f("appendMultusNetwork", &[Text, Text], istio::append_multus_network),
    f("env", &[Text, Text], istio::env),
    v("omit", &[Texts, Text], istio::omit),
    v("strdict", &[Text], istio::strdict),
    v("toJsonMap", &[Texts], istio::to_json_map),
    v("mergeMaps", &[Texts], istio::merge_maps),
    f("omitNil", &[Any], istio::omit_nil),
    f("otelResourceAttributes", &[Mesh, Texts, Texts, Text, Containers], istio::otel_resource_attributes),
];

static TABLE: LazyLock<BTreeMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let topics: [&[Function]; 11] =
        [GO, STRINGS, REGEXES, NUMBERS, VALUES, LISTS, DICTS, ENCODING, TIMES, REFUSED, ISTIO];
    topics.into_iter().flatten().map(|function| (function.name, function)).collect()
});

pub(super) fn find(name: &str) -> Option<&'static Function> {
    TABLE.get(name).copied()
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.keys().copied()
}
