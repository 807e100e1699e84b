// The values here are those that Go 1.26 with sprig 3.3 and the functions of Istio's injector give.

use crate::template::tests::{fails, renders};

#[test]
fn strings_are_cut_and_joined() {
    renders(&[
        (r#"{{ trunc 3 "abcdef" }} {{ trunc -2 "abcdef" }} {{ trunc 9 "abc" }}"#, "abc ef abc"),
        (r#"{{ substr 1 3 "abcdef" }}|{{ substr 2 -1 "abcdef" }}|{{ substr -1 2 "abcdef" }}"#, "bc|cdef|ab"),
        (
            r#"{{ abbrev 6 "hello world" }} {{ abbrev 3 "hello" }} {{ abbrevboth 5 10 "1234 5678 9123 4567" }}"#,
            "hel... hello ...5678...",
        ),
        (
            r#"{{ trimAll "-." "-.web.-" }} {{ trimPrefix "v" "v1" }} {{ trimSuffix ".svc" "a.svc" }} [{{ trim "  x " }}]"#,
            "web 1 a [x]",
        ),
        (r#"{{ repeat 3 "ab" }} {{ replace "o" "0" "foo" }} {{ replace "" "-" "ab" }}"#, "ababab f00 -a-b-"),
        (
            r#"{{ upper "straße" }} {{ lower "ÀB" }} {{ title "hello wORLD x-y" }} {{ untitle "Hello World" }}"#,
            "STRAßE àb Hello WORLD X-Y hello world",
        ),
        (
            r#"{{ cat "a" nil 1 "b" }} {{ quote "a\"b" 1 nil true }} {{ squote "a" 1 }}"#,
            r#"a 1 b "a\"b" "1" "true" 'a' '1'"#,
        ),
        (
            r#"{{ splitList "," "a,,b" }} {{ split "/" "a/b" }} {{ splitn "/" 2 "a/b/c" }} {{ splitList "" "aé" }}"#,
            "[a  b] map[_0:a _1:b] map[_0:a _1:b/c] [a é]",
        ),
        (
            r#"{{ join "-" .words }} {{ join "," .numbers }} {{ join "," .mixed }} {{ "x" | join "," }}"#,
            "b-a-c 3,1,2 1,,false,[] x",
        ),
        (r#"{{ sortAlpha .words }} {{ sortAlpha (list 10 9 1) }} {{ sortAlpha "x" }}"#, "[a b c] [1 10 9] [x]"),
        (r#"{{ plural "one" "many" 1 }} {{ plural "one" "many" 0 }}"#, "one many"),
        (r#"{{ contains "eb" .name }} {{ hasPrefix "w" .name }} {{ hasSuffix "x" .name }}"#, "true true false"),
        (r#"{{ nindent 2 "a\nb" }}"#, "\n  a\n  b"),
        (
            "{{ toString 1.50 }} {{ toString .map }} {{ toStrings .mixed }}",
            "1.5 map[a:1 b:two c:map[d:[1 map[x:y]]]] [1  false []]",
        ),
        ("{{ hello }}", "Hello!"),
    ]);
}

#[test]
fn words_change_their_case() {
    renders(&[
        (r#"{{ snakecase "HTTPServer2Go fooBar_baz" }}"#, "http_server2_go_foo_bar_baz"),
        (r#"{{ kebabcase "Bld4Floor3rd http2xx" }}"#, "bld4-floor-3rd-http-2xx"),
        (r#"{{ camelcase "http_server no-https _complex__case_" }}"#, "HttpServerNoHttps Complex_Case_"),
        (r#"{{ swapcase "This Is A.Test" }}"#, "tHIS iS a.tEST"),
        (r#"{{ initials "First Try of this" }} {{ nospace " a b " }} {{ nospace " é " }}"#, "FTot ab Ã©"),
        (r#"{{ wrap 5 "hello there world" }}"#, "hello\nthere\nworld"),
        (r#"{{ wrapWith 5 "|" "hello-there world" }}"#, "hello|-ther|e|world"),
    ]);
}

#[test]
fn numbers_wrap_around_and_round_as_in_go() {
    renders(&[
        (
            r#"{{ add 1 2 "3" 4.9 true }} {{ add1 5 }} {{ sub 1 3 }} {{ mul 2 3 4 }} {{ div 7 2 }} {{ mod -7 3 }}"#,
            "11 6 -2 24 3 -1",
        ),
        ("{{ add 9223372036854775807 1 }}", "-9223372036854775808"),
        ("{{ max 1 5 3 }} {{ min 4 2 }} {{ maxf 1.5 2 }} {{ minf 1.5 2 }} {{ biggest 1 2 }}", "5 2 2 1.5 2"),
        (
            "{{ floor 2.7 }} {{ ceil 2.1 }} {{ round 123.5555 3 }} {{ round -2.5 0 }} {{ round 2.2 0 0.1 }}",
            "2 3 123.556 -3 3",
        ),
        (
            "{{ addf 0.1 0.2 }} {{ subf 1 0.9 }} {{ mulf 1.1 1.1 }} {{ divf 10 3 }} {{ divf -1 3 }} {{ add1f 1.5 }}",
            "0.3 0.1 1.21 3.3333333333333335 -0.3333333333333333 2.5",
        ),
        (
            r#"{{ int "0x1f" }} {{ int "010" }} {{ int "3.00" }} {{ int "3.5" }} {{ int "abc" }} {{ int 2.9 }} {{ int64 "7" }} {{ atoi "12" }} {{ atoi "x" }}"#,
            "31 8 3 0 0 2 7 12 0",
        ),
        (r#"{{ float64 "1e3" }} {{ float64 "x" }} {{ toDecimal "777" }}"#, "1000 0 511"),
        (
            "{{ until 3 }} {{ until -2 }} {{ untilStep 0 10 3 }} {{ untilStep 3 0 -1 }} {{ untilStep 0 3 -1 }}",
            "[0 1 2] [0 -1] [0 3 6 9] [3 2 1] []",
        ),
        ("{{ seq 3 }}|{{ seq 2 4 }}|{{ seq 1 2 6 }}|{{ seq 3 1 }}|{{ seq }}", "1 2 3|2 3 4|1 3 5|3 2 1|"),
    ]);
}

#[test]
fn lists_stay_as_they_are() {
    renders(&[
        (r#"{{ list 1 "a" nil }} {{ tuple }} {{ list | len }}"#, "[1 a <nil>] [] 0"),
        ("{{ $l := list 1 2 }}{{ $m := append $l 3 }}{{ $l }} {{ $m }} {{ prepend $l 0 }}", "[1 2] [1 2 3] [0 1 2]"),
        (
            "{{ first .words }} {{ last .words }} {{ rest .words }} {{ initial .words }} {{ first (list) }}",
            "b c [a c] [b a] <no value>",
        ),
        (
            r#"{{ reverse .words }} {{ uniq (list 1 1.0 1 "a" "a") }} {{ compact .mixed }} {{ without .words "a" "z" }}"#,
            "[c a b] [1 1 a] [1] [b c]",
        ),
        (
            r#"{{ has "a" .words }} {{ has 1 .numbers }} {{ has 1.0 .numbers }} {{ has 1 nil }}"#,
            "true false true false",
        ),
        (
            "{{ slice .words 1 }} {{ slice .words 0 2 }} {{ concat .words (list 1) }} {{ chunk 2 .words }}",
            "[a c] [b a] [b a c 1] [[b a] [c]]",
        ),
        ("{{ rest (list) | toJson }} {{ list | toJson }} {{ concat | toJson }}", "null [] null"),
    ]);
}

#[test]
fn maps_are_shared_and_changed() {
    renders(&[
        (
            r#"{{ $d := dict "a" 1 "b" }}{{ $_ := set $d "c" 2 }}{{ $d }} {{ unset $d "a" }} {{ hasKey $d "a" }}"#,
            "map[a:1 b: c:2] map[b: c:2] false",
        ),
        (
            r#"{{ get .map "b" }} [{{ get .map "z" }}] {{ pick .map "a" "z" }} {{ pluck "a" .map (dict "a" 2) }}"#,
            "two [] map[a:1] [1 2]",
        ),
        (
            r#"{{ keys .map | sortAlpha }} {{ values (dict "x" 1) }} {{ dict 1 2 true nil }}"#,
            "[a b c] [1] map[1:2 true:<nil>]",
        ),
        (r#"{{ dig "c" "d" "none" .map }} {{ dig "c" "x" "y" "none" .map }}"#, "[1 map[x:y]] none"),
        (r#"{{ $_ := set .map "new" 1 }}{{ .map.new }}"#, "1"),
        (
            r#"{{ merge (dict "a" 1 "m" (dict "x" 1)) (dict "a" 2 "b" 3 "m" (dict "x" 2 "y" 3)) | toJson }}"#,
            r#"{"a":1,"b":3,"m":{"x":1,"y":3}}"#,
        ),
        (
            r#"{{ mergeOverwrite (dict "a" 1 "l" (list 1) "m" (dict "x" 1)) (dict "a" "" "l" (list) "m" (dict "x" 2 "n" nil)) | toJson }}"#,
            r#"{"a":"","l":[],"m":{"n":null,"x":2}}"#,
        ),
        (r#"{{ merge (dict "a" "" "b" 0) (dict "a" "x" "b" (list 1)) | toJson }}"#, r#"{"a":"x","b":[1]}"#),
        (
            r#"{{ $a := dict "m" (dict) }}{{ $c := deepCopy $a }}{{ $_ := set $a.m "x" 1 }}{{ $a }} {{ $c }}"#,
            "map[m:map[x:1]] map[m:map[]]",
        ),
    ]);
}

#[test]
fn empty_is_what_if_takes_for_false() {
    renders(&[
        (
            r#"{{ default "d" .empty }} {{ default "d" 0 }} {{ default "d" .name }} {{ default "d" .nothing }} {{ default 5 }}"#,
            "d d web d 5",
        ),
        (r#"{{ empty .none }} {{ empty 0 }} {{ empty "x" }} {{ empty (dict) }}"#, "true true false true"),
        (r#"{{ coalesce 0 "" nil .name }} {{ coalesce }}"#, "web <no value>"),
        (r#"{{ all 1 .name }} {{ all 1 0 }} {{ any 0 "" }} {{ any 0 1 }}"#, "true false false true"),
        (r#"{{ ternary "a" "b" true }} {{ .off | ternary "a" "b" }}"#, "a b"),
    ]);
}

#[test]
fn types_and_kinds_have_their_names_in_go() {
    renders(&[
        (
            r#"{{ typeOf 1 }} {{ typeOf .count }} {{ typeOf "a" }} {{ typeOf nil }} {{ typeOf .words }} {{ typeOf .map }} {{ typeOf (split "," "a") }} {{ typeOf (until 1) }} {{ typeOf (add 1) }} {{ typeOf (semver "1") }}"#,
            "int float64 string <nil> []interface {} map[string]interface {} map[string]string []int int64 *semver.Version",
        ),
        (
            r#"{{ kindOf 1 }} {{ kindOf .map }} {{ kindOf .words }} {{ kindOf nil }} {{ kindOf (semver "1") }}"#,
            "int map slice invalid ptr",
        ),
        (
            r#"{{ kindIs "map" .map }} {{ typeIs "string" .name }} {{ typeIsLike "semver.Version" (semver "1") }}"#,
            "true true true",
        ),
        (
            r#"{{ deepEqual (list 1 2) (list 1 2) }} {{ deepEqual 1 1.0 }} {{ deepEqual (dict "a" (list)) (dict "a" (list)) }}"#,
            "true false true",
        ),
    ]);
}

#[test]
fn json_has_the_form_of_go() {
    renders(&[
        (
            "{{ toJson .map }} {{ toRawJson .html }} {{ toJson .html }}",
            r#"{"a":1,"b":"two","c":{"d":[1,{"x":"y"}]}} "<a href='x'>\"&\"</a>" "\u003ca href='x'\u003e\"\u0026\"\u003c/a\u003e""#,
        ),
        (
            r#"{{ toJson 1.0 }} {{ toJson 1e21 }} {{ toJson 1e-7 }} {{ toJson .big }} {{ toJson "\u2028\x01" }}"#,
            r#"1 1e+21 1e-7 43200000 "\u2028\u0001""#,
        ),
        (
            "{{ toPrettyJson .map }}",
            "{\n  \"a\": 1,\n  \"b\": \"two\",\n  \"c\": {\n    \"d\": [\n      1,\n      {\n        \"x\": \"y\"\n      }\n    ]\n  }\n}",
        ),
        (
            r#"{{ (fromJson "{\"a\":[1,2.5,null]}").a }} {{ fromJson "nonsense" }} {{ mustFromJson "1" }}"#,
            "[1 2.5 <nil>] <no value> 1",
        ),
        (
            r#"{{ structToJSON nil }} {{ structToJSON .map }} {{ toJSON nil }} {{ toJSON (strdict "b" "<1>" "a" "2") }}"#,
            r#"{} {"a":1,"b":"two","c":{"d":[1,{"x":"y"}]}} {} {"a":"2","b":"\u003c1\u003e"}"#,
        ),
    ]);
}

#[test]
fn yaml_is_that_of_the_kubernetes_libraries() {
    renders(&[
        ("{{ toYaml .map }}", "a: 1\nb: two\nc:\n  d:\n  - 1\n  - x: \"y\"\n"),
        (r#"{{ toYaml (dict "a1" 1 "a10" 2 "a2" 3 "B" 4 "_" 5) }}"#, "_: 5\nB: 4\na1: 1\na2: 3\na10: 2\n"),
        (
            r##"{{ toYaml (list "true" "yes" "1" "1.5" "0x1f" "" "~" "a: b" "- a" "#x" "2001-01-01" "12:30" "y" "null" "<<" "=") }}"##,
            "- \"true\"\n- \"yes\"\n- \"1\"\n- \"1.5\"\n- \"0x1f\"\n- \"\"\n- \"~\"\n- 'a: b'\n- '- a'\n- '#x'\n- \"2001-01-01\"\n- \"12:30\"\n- \"y\"\n- \"null\"\n- <<\n- =\n",
        ),
        (
            r#"{{ toYaml (dict "text" .text "other" "a\nb") }}"#,
            "other: |-\n  a\n  b\ntext: |\n  line one\n  line two\n    indented\n",
        ),
        (
            r#"{{ toYaml (dict "k" "word word word word word word word word word word word word word word word word word word word word word word word word word ") }}"#,
            "k: 'word word word word word word word word word word word word word word word word\n  word word word word word word word word word '\n",
        ),
        (
            r#"{{ toYaml (dict "k" "'quoted and word word word word word word word word word word word word word word word word word word word word ") }}"#,
            "k: '''quoted and word word word word word word word word word word word word word\n  word word word word word word word '\n",
        ),
        (
            r#"{{ toYaml (list (list 1 (list 2)) (list) (dict) nil (dict "a" (list (dict "b" 1 "c" 2)))) }}"#,
            "- - 1\n  - - 2\n- []\n- {}\n- null\n- a:\n  - b: 1\n    c: 2\n",
        ),
        (
            r#"{{ toYaml (list "a\tb" "é" "\u00a0x" " lead" "trail " "it's" "say \"x\"" "a\\b") }}"#,
            "- \"a\\tb\"\n- é\n- \u{a0}x\n- ' lead'\n- 'trail '\n- it's\n- say \"x\"\n- a\\b\n",
        ),
        ("{{ toYaml 1e6 }}{{ toYaml 1.5 }}{{ toYaml .big }}{{ toYaml nil }}", "1000000\n1.5\n43200000\nnull\n"),
        (
            r#"{{ toYaml (dict "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" 1) }}"#,
            "? kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk\n: 1\n",
        ),
        (
            r#"{{ toYaml (dict "a" (dict "b" (dict "c" "x\n y\n"))) | indent 4 }}"#,
            "a:\n      b:\n        c: |\n          x\n           y\n    ",
        ),
    ]);
}

#[test]
fn encodings_and_digests() {
    renders(&[
        (
            r#"{{ b64enc "hello" }} {{ b64dec "aGVsbG8=" }} {{ b64dec "a" }} {{ b64dec "ab=c" }} {{ b32enc "hello" }} {{ b32dec "NBSWY3DP" }} {{ b32dec "1" }}"#,
            "aGVsbG8= hello illegal base64 data at input byte 0 illegal base64 data at input byte 2 NBSWY3DP hello illegal base32 data at input byte 0",
        ),
        (
            r#"{{ sha1sum "a" }} {{ sha256sum "a" }} {{ adler32sum "a" }}"#,
            "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8 ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb 6422626",
        ),
        (
            r#"{{ sha512sum "a" }}"#,
            "1f40fc92da241694750979ee6cf582f2d5d7d28e18335de05abc54d0560e0f5302860c652bf08d560252aa5e74210546f369fbbbce8c12cfc7957b2652fe9a75",
        ),
        (
            "{{ html .html }} {{ js .html }} {{ urlquery .html }} {{ html nil }}",
            r#"&lt;a href=&#39;x&#39;&gt;&#34;&amp;&#34;&lt;/a&gt; \u003Ca href\u003D\'x\'\u003E\"\u0026\"\u003C/a\u003E %3Ca+href%3D%27x%27%3E%22%26%22%3C%2Fa%3E &lt;no value&gt;"#,
        ),
    ]);
}

#[test]
fn urls_and_paths() {
    renders(&[
        (
            r#"{{ urlParse "https://u:p%40@h.com:80/a%20b?x=1#f" }}"#,
            "map[fragment:f host:h.com:80 hostname:h.com opaque: path:/a b query:x=1 scheme:https userinfo:u:p%40]",
        ),
        (
            r#"{{ urlParse "mailto:a@b.c" | urlJoin }} {{ urlJoin (dict "scheme" "http" "host" "h" "path" "p q" "query" "a=b") }}"#,
            "mailto:a@b.c http://h/p%20q?a=b",
        ),
        (
            r#"{{ urlParse "http://[::1]:80/" }}"#,
            "map[fragment: host:[::1]:80 hostname:::1 opaque: path:/ query: scheme:http userinfo:]",
        ),
        (
            r#"{{ base "/a/b.c" }} {{ dir "/a/b.c" }} {{ ext "b.tar.gz" }} {{ clean "a//b/../c/." }} {{ isAbs "/a" }} {{ base "" }} {{ dir "" }}"#,
            "b.c /a .gz a/c true . .",
        ),
        (r#"{{ directory "/etc/x/ca.pem" }} {{ osBase "/a/b" }}"#, "/etc/x/ b"),
    ]);
}

#[test]
fn versions_are_compared() {
    renders(&[
        (
            r#"{{ $v := semver "v1.2.3-rc.1+b5" }}{{ $v }} {{ $v.Major }} {{ $v.Minor }} {{ $v.Patch }} {{ $v.Prerelease }} {{ $v.Metadata }} {{ $v.Original }}"#,
            "1.2.3-rc.1+b5 1 2 3 rc.1 b5 v1.2.3-rc.1+b5",
        ),
        (
            r#"{{ semverCompare ">=1.2" "1.3.0" }} {{ semverCompare "^1.2.0" "2.0.0" }} {{ semverCompare "~1.2.3" "1.2.9" }} {{ semverCompare ">1.0" "1.2.0-rc.1" }} {{ semverCompare ">1.0-0" "1.2.0-rc.1" }}"#,
            "true false true false true",
        ),
        (
            r#"{{ semverCompare "1.x" "1.9" }} {{ semverCompare "<1 || >=2" "v2.1" }} {{ semverCompare "1.2 - 1.5" "1.4.7" }} {{ semverCompare "!=1.2.3" "1.2.3" }} {{ semverCompare ">1.2.x" "1.2.9" }}"#,
            "true true true false false",
        ),
        (
            r#"{{ (semver "1.2.3").Compare (semver "1.10.0") }} {{ semver "2.0.0" | (semver "1.0.0").LessThan }}"#,
            "-1 true",
        ),
    ]);
}

#[test]
fn regular_expressions_are_those_of_go() {
    renders(&[
        (
            r#"{{ regexMatch "^[a-z]+$" "abc" }} {{ regexMatch "[" "x" }} {{ regexFind "[0-9]+" "a12b3" }} {{ regexFindAll "[0-9]" "a1b2c3" 2 }} {{ regexFindAll "x" "a" -1 | toJson }}"#,
            "true false 12 [1 2] null",
        ),
        (
            r#"{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }} {{ regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}" }}"#,
            "-W-xxW- -${1}-${1}-",
        ),
        (
            r#"{{ regexSplit "z+" "pizza" -1 }} {{ regexSplit "" "abc" 2 }} {{ regexSplit "," "a,b,c" 2 }}"#,
            "[pi a] [a bc] [a b,c]",
        ),
        (
            r#"{{ regexQuoteMeta "a.b*c" }} {{ regexFindAll "\\w+" "é ab_1" -1 }} {{ regexFindAll "[\\d.]+" "1.5 x" -1 }} {{ regexFindAll "[[:alpha:]]+" "ab1" -1 }} {{ regexReplaceAll "\\bx" "x ax éx" "_" }}"#,
            r"a\.b\*c [ab_1] [1.5] [ab] _ ax é_",
        ),
        (
            r#"{{ regexMatch "a{,2}" "a{,2}" }} {{ regexFindAll "(?i)É" "éÉ" -1 }} {{ regexFindAll "[a&&b]" "a&b" -1 }}"#,
            "true [é É] [a & b]",
        ),
    ]);
}

#[test]
fn dates_by_the_layouts_of_go() {
    renders(&[
        (
            r#"{{ date "2006-01-02 15:04:05" 1700000000 }} {{ date "Mon Jan _2 3:04PM 2006" 0 }} {{ htmlDate 86400 }} {{ dateInZone "15:04 MST" 0 "UTC" }}"#,
            "2023-11-14 22:13:20 Thu Jan  1 12:00AM 1970 1970-01-02 00:00 UTC",
        ),
        (
            r#"{{ $d := toDate "2006-01-02" "2024-02-29" }}{{ $d }} {{ date "Monday, 02-Jan-06 002" $d }} {{ unixEpoch $d }} {{ $d.Year }} {{ $d.Format "Jan 2" }}"#,
            "2024-02-29 00:00:00 +0000 UTC Thursday, 29-Feb-24 060 1709164800 2024 Feb 29",
        ),
        (
            r#"{{ toDate "2006-01-02T15:04:05Z07:00" "2024-01-01T01:02:03.5+02:00" }}"#,
            "2024-01-01 01:02:03.5 +0200 +0200",
        ),
        (
            r#"{{ toDate "2006-01-02" "2024-02-28" | dateModify "48h" | date "2006-01-02" }} {{ toDate "2006" "x" }}"#,
            "2024-03-01 0001-01-01 00:00:00 +0000 UTC",
        ),
        (
            r#"{{ duration "95" }} {{ duration (int64 3700) }} {{ duration 95 }} {{ durationRound "2400h" }} {{ durationRound "90s" }} {{ durationRound "100ms" }}"#,
            "1m35s 1h1m40s 0s 3mo 1m 0s",
        ),
    ]);
}

#[test]
fn what_istio_adds() {
    renders(&[
        (
            r#"{{ excludeInboundPort 80 "" }}|{{ excludeInboundPort 80 "80,90" }}|{{ excludeInboundPort "15020" " 90, 100 ,," }}|{{ excludeInboundPort 0 "1" }}"#,
            "80|80,90|90,100,15020|1",
        ),
        (
            r#"{{ valueOrDefault "" "d" }} {{ valueOrDefault nil "d" }} {{ valueOrDefault 0 "d" }} {{ valueOrDefault .nothing "d" }}"#,
            "d d 0 d",
        ),
        (r#"{{ indent 2 "a\nb\n" }}|{{ indent 0 "a\nb" }}"#, "a\n  b\n  |a\nb"),
        (
            r#"{{ isset (strdict "a" "") "a" }} {{ isset nil "a" }} {{ toLower "AB" }} {{ kubevirtInterfaces "x" }} {{ excludeInterfaces "y" }}"#,
            "true false ab x y",
        ),
        (
            r#"{{ omit (strdict "a" "1" "b" "2") "a" "z" }} {{ strdict "a" "b" "c" }} {{ mergeMaps (strdict "a" "1") (strdict "a" "2" "b" "3") }} {{ toJsonMap (strdict "a" "1") nil }} {{ toJsonMap }}"#,
            r#"map[b:2] map[a:b c:] map[a:2 b:3] {"a":"1"} null"#,
        ),
        (
            r#"{{ appendMultusNetwork "" "istio-cni" }}|{{ appendMultusNetwork "a, b" "istio-cni" }}|{{ appendMultusNetwork "a, istio-cni" "istio-cni" }}"#,
            "istio-cni|a, b, istio-cni|a, istio-cni",
        ),
        (
            r#"{{ appendMultusNetwork "[{\"name\":\"a\"}]" "default/istio-cni" }}|{{ appendMultusNetwork "[{\"name\":\"istio-cni\"}]" "istio-cni" }}|{{ appendMultusNetwork "[bad]" "x" }}"#,
            r#"[{"name":"a"}, {"name": "istio-cni", "namespace": "default"}]|[{"name":"istio-cni"}]|[bad]"#,
        ),
        (
            r#"{{ omitNil (dict "a" nil "b" (list nil 1) "c" (dict "d" nil)) | toJson }} {{ omitNil (list nil) | toJson }} {{ omitNil "x" }}"#,
            r#"{"b":[1]} null x"#,
        ),
        (
            r#"{{ fromJSON "{\"a\":1}" }} {{ fromJSON "bad" }} {{ formatDuration nil }} {{ protoToJSON nil }} [{{ includeInboundPorts nil }}] {{ env "NOT_GIVEN" "default" }}"#,
            "map[a:1] {} 0s {} [] default",
        ),
    ]);
}

#[test]
fn arguments_have_types() {
    fails(&[
        ("{{ upper 1 }}", r#"template: inject:1:9: executing "inject" at <1>: expected string; found 1"#),
        (
            "{{ upper .count }}",
            r#"template: inject:1:9: executing "inject" at <.count>: wrong type for value; expected string; got float64"#,
        ),
        ("{{ upper nil }}", r#"template: inject:1:9: executing "inject" at <nil>: cannot assign nil to string"#),
        (
            "{{ upper .nothing }}",
            r#"template: inject:1:9: executing "inject" at <.nothing>: invalid value; expected string"#,
        ),
        (
            "{{ upper .none }}",
            r#"template: inject:1:9: executing "inject" at <.none>: wrong type for value; expected string; got interface {}"#,
        ),
        (r#"{{ trunc "1" "a" }}"#, r#"template: inject:1:9: executing "inject" at <"1">: expected integer; found "1""#),
        (
            r#"{{ trunc .count "a" }}"#,
            r#"template: inject:1:9: executing "inject" at <.count>: wrong type for value; expected int; got float64"#,
        ),
        (r#"{{ trunc 1.5 "a" }}"#, r#"template: inject:1:9: executing "inject" at <1.5>: expected integer; found 1.5"#),
        (
            r#"{{ isset .map "a" }}"#,
            r#"template: inject:1:9: executing "inject" at <.map>: wrong type for value; expected map[string]string; got map[string]interface {}"#,
        ),
        (
            r#"{{ hasKey .words "a" }}"#,
            r#"template: inject:1:10: executing "inject" at <.words>: wrong type for value; expected map[string]interface {}; got []interface {}"#,
        ),
        ("{{ ternary 1 2 3 }}", r#"template: inject:1:15: executing "inject" at <3>: expected bool; found 3"#),
        (
            r#"{{ mergeMaps (dict "a" 1) }}"#,
            r#"template: inject:1:14: executing "inject" at <dict "a" 1>: wrong type for value; expected map[string]string; got map[string]interface {}"#,
        ),
        (
            r#"{{ annotation .map "a" "b" }}"#,
            r#"template: inject:1:14: executing "inject" at <.map>: wrong type for value; expected v1.ObjectMeta; got map[string]interface {}"#,
        ),
        (
            "{{ protoToJSON .map }}",
            r#"template: inject:1:15: executing "inject" at <.map>: wrong type for value; expected protoreflect.ProtoMessage; got map[string]interface {}"#,
        ),
        (
            "{{ upper }}",
            r#"template: inject:1:3: executing "inject" at <upper>: wrong number of args for upper: want 1 got 0"#,
        ),
        (
            r#"{{ upper "a" "b" }}"#,
            r#"template: inject:1:3: executing "inject" at <upper>: wrong number of args for upper: want 1 got 2"#,
        ),
        (
            "{{ trunc 1 }}",
            r#"template: inject:1:3: executing "inject" at <trunc>: wrong number of args for trunc: want 2 got 1"#,
        ),
        (
            "{{ printf }}",
            r#"template: inject:1:3: executing "inject" at <printf>: wrong number of args for printf: want at least 1 got 0"#,
        ),
    ]);
}

#[test]
fn functions_say_why_they_fail() {
    fails(&[
        (
            r#"{{ fail "the reason" }}"#,
            r#"template: inject:1:3: executing "inject" at <fail "the reason">: error calling fail: the reason"#,
        ),
        (
            "{{ div 1 0 }}",
            r#"template: inject:1:3: executing "inject" at <div 1 0>: error calling div: runtime error: integer divide by zero"#,
        ),
        (
            r#"{{ first "abc" }}"#,
            r#"template: inject:1:3: executing "inject" at <first "abc">: error calling first: Cannot find first on type string"#,
        ),
        (
            "{{ first nil }}",
            r#"template: inject:1:3: executing "inject" at <first nil>: error calling first: runtime error: invalid memory address or nil pointer dereference"#,
        ),
        (
            "{{ slice .words 2 1 }}",
            r#"template: inject:1:3: executing "inject" at <slice .words 2 1>: error calling slice: reflect.Value.Slice: slice index out of bounds"#,
        ),
        (
            r#"{{ slice "abc" 1 }}"#,
            r#"template: inject:1:3: executing "inject" at <slice "abc" 1>: error calling slice: list should be type of slice or array but string"#,
        ),
        (
            r#"{{ repeat -1 "a" }}"#,
            r#"template: inject:1:3: executing "inject" at <repeat -1 "a">: error calling repeat: strings: negative Repeat count"#,
        ),
        (
            r#"{{ substr 3 2 "abcd" }}"#,
            r#"template: inject:1:3: executing "inject" at <substr 3 2 "abcd">: error calling substr: runtime error: slice bounds out of range [3:2]"#,
        ),
        (
            r#"{{ semver "x" }}"#,
            r#"template: inject:1:3: executing "inject" at <semver "x">: error calling semver: Invalid Semantic Version"#,
        ),
        (
            r#"{{ semverCompare ">>1" "1" }}"#,
            r#"template: inject:1:3: executing "inject" at <semverCompare ">>1" "1">: error calling semverCompare: improper constraint: >>1"#,
        ),
        (
            r#"{{ mustToDate "2006" "x" }}"#,
            r#"template: inject:1:3: executing "inject" at <mustToDate "2006" "x">: error calling mustToDate: parsing time "x" as "2006": cannot parse "x" as "2006""#,
        ),
        (
            r#"{{ urlParse "http://a b/" }}"#,
            r#"template: inject:1:3: executing "inject" at <urlParse "http://a b/">: error calling urlParse: unable to parse url: parse "http://a b/": invalid character " " in host name"#,
        ),
        (
            r#"{{ dig "a" "d" nil }}"#,
            r#"template: inject:1:3: executing "inject" at <dig "a" "d" nil>: error calling dig: interface conversion: interface {} is nil, not map[string]interface {}"#,
        ),
        (
            r#"{{ set nil "a" 1 }}"#,
            r#"template: inject:1:3: executing "inject" at <set nil "a" 1>: error calling set: assignment to entry in nil map"#,
        ),
        (
            "{{ deepCopy nil }}",
            r#"template: inject:1:3: executing "inject" at <deepCopy nil>: error calling deepCopy: reflect: call of reflect.Value.Type on zero Value"#,
        ),
        (
            r#"{{ regexFind "a**" "a" }}"#,
            r#"template: inject:1:3: executing "inject" at <regexFind "a**" "a">: error calling regexFind: regexp: Compile(`a**`): error parsing regexp: invalid nested repetition operator: `**`"#,
        ),
        (
            r#"{{ regexFind "a{1001}" "a" }}"#,
            r#"template: inject:1:3: executing "inject" at <regexFind "a{1001}" "a">: error calling regexFind: regexp: Compile(`a{1001}`): error parsing regexp: invalid repeat count: `{1001}`"#,
        ),
        (
            r#"{{ concat "a" }}"#,
            r#"template: inject:1:3: executing "inject" at <concat "a">: error calling concat: Cannot concat type string as list"#,
        ),
    ]);
}
