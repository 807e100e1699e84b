// What templates give and say here is what Go 1.26 with sprig 3.3 and Istio's functions gave for the same data, but for the column of
// mistakes in the text, which Go does not tell.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Data without types.
fn data() -> Json {
    json!({
            "name": "web",
            "words": [
                    "b",
                    "a",
                    "c"
            ],
            "numbers": [
                    3,
                    1,
                    2
            ],
            "empty": "",
            "none": null,
            "on": true,
            "off": false,
            "count": 5,
            "big": 43200000,
            "half": 0.5,
            "map": {
                    "a": 1,
                    "b": "two",
                    "c": {
                            "d": [
                                    1,
                                    {
                                            "x": "y"
                                    }
                            ]
                    }
            },
            "text": "line one\nline two\n  indented\n",
            "html": "<a href='x'>\"&\"</a>",
            "mixed": [
                    null,
                    1,
                    "",
                    false,
                    []
            ]
    })
}

fn plain(template: &str) -> Result<String, Error> {
    Template::parse("inject", template)?.render(&data(), &Options { root: Root::Plain, ..Options::default() })
}

fn all(cases: &[(&str, &str)], render: impl Fn(&str) -> Result<String, Error>) {
    for (template, expected) in cases {
        match render(template) {
            Ok(found) => assert_eq!(found, *expected, "{template}"),
            Err(error) => panic!("{template}: {error}"),
        }
    }
}

fn none(cases: &[(&str, &str)], render: impl Fn(&str) -> Result<String, Error>) {
    for (template, expected) in cases {
        match render(template) {
            Ok(found) => panic!("{template}: {found}"),
            Err(error) => assert_eq!(error.to_string(), *expected, "{template}"),
        }
    }
}

/// Templates of data without types, and what they give.
pub(crate) fn renders(cases: &[(&str, &str)]) {
    all(cases, plain);
}

/// Templates of data without types, and what is wrong with them.
pub(crate) fn fails(cases: &[(&str, &str)]) {
    none(cases, plain);
}

fn renders_sidecar(cases: &[(&str, &str)]) {
    all(cases, |template| render(template, &sidecar()));
}

fn fails_sidecar(cases: &[(&str, &str)]) {
    none(cases, |template| render(template, &sidecar()));
}

/// What the injector hands over for a pod.
fn sidecar() -> Json {
    json!({
            "TypeMeta": {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment"
            },
            "DeploymentMeta": {
                    "Name": "web",
                    "Namespace": "shop"
            },
            "ObjectMeta": {
                    "name": "web-1",
                    "labels": {
                            "app": "web",
                            "version": "v1"
                    },
                    "annotations": {
                            "sidecar.istio.io/logLevel": "debug"
                    }
            },
            "Spec": {
                    "containers": [
                            {
                                    "name": "app",
                                    "image": "r:5000/app:1.2@sha256:ab",
                                    "ports": [
                                            {
                                                    "containerPort": 80,
                                                    "name": "http",
                                                    "protocol": "TCP"
                                            },
                                            {
                                                    "containerPort": 53,
                                                    "protocol": "UDP"
                                            },
                                            {
                                                    "containerPort": 443
                                            }
                                    ],
                                    "readinessProbe": {
                                            "httpGet": {
                                                    "path": "/ready",
                                                    "port": "http"
                                            }
                                    }
                            },
                            {
                                    "name": "istio-proxy",
                                    "ports": [
                                            {
                                                    "containerPort": 15090
                                            }
                                    ]
                            }
                    ],
                    "terminationGracePeriodSeconds": 30,
                    "volumes": [
                            {
                                    "name": "v",
                                    "emptyDir": {}
                            }
                    ]
            },
            "ProxyConfig": {
                    "configPath": "./etc/istio/proxy",
                    "binaryPath": "/usr/local/bin/envoy",
                    "serviceCluster": "istio-proxy",
                    "drainDuration": "45s",
                    "terminationDrainDuration": "10.500s",
                    "discoveryAddress": "istiod.istio-system.svc:15012",
                    "proxyAdminPort": 15000,
                    "controlPlaneAuthPolicy": "MUTUAL_TLS",
                    "statNameLength": 189,
                    "statusPort": 15020,
                    "concurrency": 2,
                    "interceptionMode": "TPROXY",
                    "proxyMetadata": {
                            "B": "<2>",
                            "A": "1"
                    },
                    "tracing": {
                            "stackdriver": {
                                    "maxNumberOfAttributes": "200"
                            },
                            "sampling": 12.5,
                            "tlsSettings": {
                                    "caCertificates": "/etc/l/ca.pem"
                            }
                    }
            },
            "MeshConfig": {
                    "trustDomain": "td",
                    "extensionProviders": [
                            {
                                    "name": "otel",
                                    "opentelemetry": {
                                            "service": "x",
                                            "port": 4317,
                                            "serviceAttributeEnrichment": "OTEL_SEMANTIC_CONVENTIONS"
                                    }
                            }
                    ]
            },
            "Values": {
                    "global": {
                            "proxy": {
                                    "statusPort": 15020,
                                    "resources": {
                                            "limits": {
                                                    "cpu": "2",
                                                    "memory": null
                                            }
                                    }
                            }
                    },
                    "revision": ""
            },
            "Revision": "canary",
            "NativeSidecars": true,
            "ProxyUID": 1337,
            "ProxyGID": 1337
    })
}

#[test]
fn text_actions_and_comments() {
    renders(&[
        ("", ""),
        ("plain", "plain"),
        ("a {{ .name }} b", "a web b"),
        ("{{.name}}{{/* comment */}}{{- /* trimmed */ -}}  x", "webx"),
        ("a \n {{- .name -}} \n b", "awebb"),
        ("{{- 3 -}}  x {{-3}} {{ 3 -}} y", "3x -3 3y"),
        (r#"{{ "quoted \t \u00e9 \x41" }} {{ `raw \t` }} {{ 'x' }}"#, "quoted \t é A raw \\t 120"),
        (
            "{{ 1 }} {{ 1.5 }} {{ 1e3 }} {{ 0x1F }} {{ 0b11 }} {{ 017 }} {{ 1_000 }} {{ -3 }} {{ true }}",
            "1 1.5 1000 31 3 15 1000 -3 true",
        ),
        (
            "{{ 1e6 }} {{ 1e20 }} {{ 0.0001 }} {{ 0.00001 }} {{ .big }} {{ .half }}",
            "1e+06 1e+20 0.0001 1e-05 4.32e+07 0.5",
        ),
    ]);
}

#[test]
fn absent_keys_are_no_value() {
    renders(&[
        (
            r#"{{ .nothing }} {{ .nothing.at.all }} {{ .none }} {{ .map.z }} [{{ printf "%v" .nothing }}]"#,
            "<no value> <no value> <no value> <no value> [<nil>]",
        ),
        ("{{ .map }} {{ .words }} {{ .mixed }}", "map[a:1 b:two c:map[d:[1 map[x:y]]]] [b a c] [<nil> 1  false []]"),
        ("{{ .map.c.d }} {{ $.name }} {{ (index .map.c.d 1).x }}", "[1 map[x:y]] web y"),
    ]);
}

#[test]
fn branches() {
    renders(&[
        ("{{ if .on }}a{{ else }}b{{ end }}", "a"),
        ("{{ if .off }}a{{ else if .count }}b{{ else }}c{{ end }}", "b"),
        ("{{ if .empty }}a{{ else if .none }}b{{ else }}c{{ end }}", "c"),
        ("{{ if $x := .count }}{{ $x }}{{ end }} {{ if $x := .empty }}a{{ else }}[{{ $x }}]{{ end }}", "5 []"),
        ("{{ with .map }}{{ .a }} {{ $.name }}{{ end }}", "1 web"),
        ("{{ with .none }}a{{ else with .map }}{{ .b }}{{ else }}c{{ end }}", "two"),
        ("{{ with $x := .map.c }}{{ $x.d }}{{ end }} {{ with 0 }}a{{ else }}{{ .name }}{{ end }}", "[1 map[x:y]] web"),
    ]);
}

#[test]
fn ranges() {
    renders(&[
        ("{{ range .numbers }}{{ . }},{{ end }}", "3,1,2,"),
        ("{{ range $i, $e := .words }}{{ $i }}={{ $e }} {{ end }}", "0=b 1=a 2=c "),
        ("{{ range $k, $v := .map }}{{ $k }}:{{ $v }} {{ end }}", "a:1 b:two c:map[d:[1 map[x:y]]] "),
        ("{{ range .nothing }}a{{ else }}none{{ end }} {{ range .none }}a{{ else }}none{{ end }}", "none none"),
        (
            "{{ range 3 }}{{ . }}{{ end }} {{ range $i := 2 }}{{ $i }}{{ end }} {{ range 0 }}a{{ else }}zero{{ end }}",
            "012 01 zero",
        ),
        (r#"{{ range .words }}{{ if eq . "a" }}{{ break }}{{ end }}{{ . }}{{ end }}"#, "b"),
        (r#"{{ range .words }}{{ if eq . "a" }}{{ continue }}{{ end }}{{ . }}{{ end }}"#, "bc"),
        (
            r#"{{ $x := "" }}{{ range .words }}{{ $x = . }}{{ end }}{{ $x }} {{ range .words }}{{ $x := . }}{{ end }}{{ $x }}"#,
            "c c",
        ),
        ("{{ range .mixed }}<{{ . }}>{{ end }}", "<<no value>><1><><false><[]>"),
        (
            "{{ range .words }}{{ range $.numbers }}{{ if eq . 1.0 }}{{ break }}{{ end }}{{ . }}{{ end }}{{ . }}{{ end }}",
            "3b3a3c",
        ),
    ]);
}

#[test]
fn templates_see_their_own_dot_only() {
    renders(&[
        (
            r#"{{ define "a" }}<{{ . }}|{{ $ }}>{{ end }}{{ template "a" .name }}{{ template "a" }}"#,
            "<web|web><<no value>|<no value>>",
        ),
        (r#"{{ block "b" .count }}B{{ . }}{{ end }}"#, "B5"),
        (r#"{{ define "b" }}first{{ end }}{{ template "b" }}"#, "first"),
        (
            r#"{{ define "down" }}{{ if gt . 0 }}{{ . }}{{ template "down" (int (sub . 1)) }}{{ end }}{{ end }}{{ template "down" 5 }}"#,
            "54321",
        ),
        (r#"{{ template "later" . }}{{ define "later" }}{{ .name }}{{ end }}"#, "web"),
    ]);
}

#[test]
fn variables_have_scopes() {
    renders(&[
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ end }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ $x := .map }}{{ $x.c.d }} {{ $y := .nothing }}[{{ $y }}]", "[1 map[x:y]] [<no value>]"),
    ]);
}

#[test]
fn pipelines() {
    renders(&[
        ("{{ .name | upper | quote }}", r#""WEB""#),
        (r#"{{ .count | printf "%s has %v" "it" }}"#, "it has 5"),
        (r#"{{ (.words | first) | upper }} {{ (list 1 2) }} {{ (dict "a" (dict "b" 2)).a.b }}"#, "B [1 2] 2"),
        (r#"{{ 5 | printf "%05d|%-4d|%x" 3 4 }}"#, "00003|4   |5"),
    ]);
}

#[test]
fn and_and_or_stop_early() {
    renders(&[
        (
            "{{ and .on .name }} {{ and .off .none.x }} {{ or .name .none.x }} {{ or .off .empty }} {{ not .off }}",
            "web false web  true",
        ),
        (r#"{{ and 1 0 2 }} {{ or 0 "" "z" }} {{ 1 | and 0 }} {{ 0 | or 5 }}"#, "0 z 0 5"),
    ]);
}

#[test]
fn comparisons() {
    renders(&[
        (
            r#"{{ eq 1 1 }} {{ eq 1 2 3 1 }} {{ ne "a" "b" }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1.5 1.0 }} {{ ge "b" "a" }}"#,
            "true true true true true true true",
        ),
        (
            r#"{{ eq .count 5.0 }} {{ eq (int .count) 5 }} {{ eq .none nil }} {{ eq .nothing "x" }} {{ eq (len .words) 3 }}"#,
            "true true true false true",
        ),
        ("{{ eq (index .name 0) 119 }} {{ lt (int64 3) 4 }}", "true true"),
    ]);
}

#[test]
fn elements_and_lengths() {
    renders(&[
        (r#"{{ len .name }} {{ len .words }} {{ len .map }} {{ len "é" }}"#, "3 3 3 2"),
        (
            r#"{{ index .words 1 }} {{ index .map "c" "d" 1 "x" }} {{ index .map "z" }} {{ index .name 1 }}"#,
            "a y <no value> 101",
        ),
        (r#"{{ index (split "," "a") "z" }}|"#, "|"),
    ]);
}

#[test]
fn printing_has_the_verbs_of_go() {
    renders(&[
        (
            r#"{{ print 1 2 "a" "b" 3 nil }} {{ print .words .map }}|{{ println 1 "a" }}"#,
            "1 2ab3 <nil> [b a c] map[a:1 b:two c:map[d:[1 map[x:y]]]]|1 a\n",
        ),
        (
            r#"{{ printf "%d %5d|%-5d|%05d %+d %x %X %o %b %c %q %U" 42 42 42 42 42 255 255 8 5 65 65 65 }}"#,
            "42    42|42   |00042 +42 ff FF 10 101 A 'A' U+0041",
        ),
        (
            r#"{{ printf "%s %q %v %x %.2s %5s|%-5s|" "hi" "h\"i" "x" "hi" "abc" "ab" "ab" }}"#,
            r#"hi "h\"i" x 6869 ab    ab|ab   |"#,
        ),
        (
            r#"{{ printf "%f %.2f %8.3f %e %g %G %v" 3.14159 2.5 2.5 1234.5 1e9 1e-7 100000.0 }}"#,
            "3.141590 2.50    2.500 1.234500e+03 1e+09 1E-07 100000",
        ),
        (r#"{{ printf "%t %v %T %T %T" true nil 1 "a" .map }}"#, "true <nil> int string map[string]interface {}"),
        (
            r#"{{ printf "%v %+v %#v" .words .map .words }}"#,
            r#"[b a c] map[a:1 b:two c:map[d:[1 map[x:y]]]] []interface {}{"b", "a", "c"}"#,
        ),
        (
            r#"{{ printf "%d %s" "a" 1 }} {{ printf "%d" }} {{ printf "%d" 1 2 }} {{ printf "%z" 1 }} {{ printf "100%" }}"#,
            "%!d(string=a) %!s(int=1) %!d(MISSING) 1%!(EXTRA int=2) %!z(int=1) 100%!(NOVERB)",
        ),
        (r#"{{ printf "%[2]s %[1]s %*d|%-*d|" "a" "b" 5 1 }}"#, "b a %!(BADWIDTH)5|%!d(MISSING)|"),
        (r#"{{ printf "%*d|%-*d|%.*f" 5 1 5 2 2 3.14159 }}"#, "    1|2    |3.14"),
        (
            r#"{{ printf "%x %#x % x %08.3f %+.2e" "hi" 255 "hi" 3.14159 12345.678 }}"#,
            "6869 0xff 68 69 0003.142 +1.23e+04",
        ),
    ]);
}

#[test]
fn mistakes_of_the_text_name_their_line() {
    fails(&[
        ("a\nb\n{{ foo }}", r#"template: inject:3:3: function "foo" not defined"#),
        ("{{ .name", "template: inject:1:8: unclosed action"),
        ("{{ if .on }}", "template: inject:1:12: unexpected EOF"),
        ("{{ end }}", "template: inject:1:7: unexpected {{end}}"),
        ("{{ else }}", "template: inject:1:8: unexpected {{else}}"),
        ("{{ }}", "template: inject:1:3: missing value for command"),
        (r#"{{ "unterminated }}"#, "template: inject:1:3: unterminated quoted string"),
        ("{{/* unclosed", "template: inject:1:2: unclosed comment"),
        ("{{ (.name }}", "template: inject:1:10: unclosed left paren"),
        ("{{ .name) }}", "template: inject:1:8: unexpected right paren"),
        ("{{ $x }}", r#"template: inject:1:3: undefined variable "$x""#),
        ("{{ $x = 1 }}", r#"template: inject:1:3: executing "inject" at <$x = 1>: undefined variable: $x"#),
        ("{{ break }}", "template: inject:1:9: {{break}} outside {{range}}"),
        (
            r#"{{ template "a" 1 2 }}"#,
            r#"template: inject:1:12: executing "inject" at <{{template "a" 1 2}}>: template "a" not defined"#,
        ),
        (
            r#"{{ define "x" }}a{{ end }}{{ define "x" }}b{{ end }}"#,
            r#"template: inject:1:50: template: multiple definition of template "x""#,
        ),
        ("{{ 1 | 2 }}", "template: inject:1:9: non executable command in pipeline stage 2"),
        ("{{ .a-b }}", "template: inject:1:3: bad character U+002D '-'"),
        (r#"{{ "a".x }}"#, r#"template: inject:1:6: unexpected . after term "\"a\"""#),
        ("{{ range $i, $j, $k := .words }}{{ end }}", "template: inject:1:15: too many declarations in range"),
        ("{{ if $x, $y := .words }}{{ end }}", "template: inject:1:8: too many declarations in if"),
        ("{{ 9999999999999999999999 }}", r#"template: inject:1:3: integer overflow: "9999999999999999999999""#),
        ("{{ ~ }}", r#"template: inject:1:3: unexpected "~" in command"#),
        ("{{ @ }}", r#"template: inject:1:3: unexpected "@" in command"#),
        ("{{ é }}", r#"template: inject:1:3: function "é" not defined"#),
        ("{{ if true }}\n{{ \"x\n}}", "template: inject:2:3: unterminated quoted string"),
    ]);
}

#[test]
fn failures_name_the_place_and_what_is_there() {
    fails(&[
        (
            "{{ .none.x }}",
            r#"template: inject:1:8: executing "inject" at <.none.x>: nil pointer evaluating interface {}.x"#,
        ),
        (
            "{{ .map.a | .name }}",
            r#"template: inject:1:12: executing "inject" at <.name>: name is not a method but has arguments"#,
        ),
        (
            r#"{{ template "none" }}"#,
            r#"template: inject:1:12: executing "inject" at <{{template "none"}}>: template "none" not defined"#,
        ),
        (
            "{{ index .words 5 }}",
            r#"template: inject:1:3: executing "inject" at <index .words 5>: error calling index: index out of range: 5"#,
        ),
        (
            r#"{{ index .words "a" }}"#,
            r#"template: inject:1:3: executing "inject" at <index .words "a">: error calling index: cannot index slice/array with type string"#,
        ),
        (
            "{{ index .map 1 }}",
            r#"template: inject:1:3: executing "inject" at <index .map 1>: error calling index: value has type int; should be string"#,
        ),
        (
            "{{ index nil 1 }}",
            r#"template: inject:1:3: executing "inject" at <index nil 1>: error calling index: index of untyped nil"#,
        ),
        (
            "{{ len .count }}",
            r#"template: inject:1:3: executing "inject" at <len .count>: error calling len: len of type float64"#,
        ),
        (
            "{{ len nil }}",
            r#"template: inject:1:3: executing "inject" at <len nil>: error calling len: reflect: call of reflect.Value.Type on zero Value"#,
        ),
        (
            r#"{{ eq 1 "a" }}"#,
            r#"template: inject:1:3: executing "inject" at <eq 1 "a">: error calling eq: incompatible types for comparison: int and string"#,
        ),
        (
            "{{ lt true false }}",
            r#"template: inject:1:3: executing "inject" at <lt true false>: error calling lt: invalid type for comparison"#,
        ),
        (
            "{{ lt nil 1 }}",
            r#"template: inject:1:3: executing "inject" at <lt nil 1>: error calling lt: invalid type for comparison"#,
        ),
        ("{{ nil }}", r#"template: inject:1:3: executing "inject" at <nil>: nil is not a command"#),
        (
            "{{ .name 1 }}",
            r#"template: inject:1:3: executing "inject" at <.name>: name is not a method but has arguments"#,
        ),
        ("{{ 1 2 }}", r#"template: inject:1:3: executing "inject" at <1>: can't give argument to non-function 1"#),
        (
            "a\n{{ if .on }}\n  {{ .none.x }}{{ end }}",
            r#"template: inject:3:10: executing "inject" at <.none.x>: nil pointer evaluating interface {}.x"#,
        ),
        (
            "{{ define \"inner\" }}{{ .none.x }}{{ end }}\n{{ template \"inner\" . }}",
            r#"template: inject:1:28: executing "inner" at <.none.x>: nil pointer evaluating interface {}.x"#,
        ),
        (
            "{{ 9223372036854775808 }}",
            r#"template: inject:1:3: executing "inject" at <9223372036854775808>: 9223372036854775808 overflows int"#,
        ),
        (
            "{{ call nil }}",
            r#"template: inject:1:3: executing "inject" at <call nil>: error calling call: call of nil"#,
        ),
    ]);
}

#[test]
fn fields_are_found_by_their_names_in_go() {
    renders_sidecar(&[
        (
            "{{ .TypeMeta.APIVersion }} {{ .DeploymentMeta.Name }} {{ .DeploymentMeta }} {{ .ObjectMeta.Name }} {{ .Revision }} {{ .NativeSidecars }} {{ .ProxyUID }}",
            "apps/v1 web shop/web web-1 canary true 1337",
        ),
        (
            "{{ range .Spec.Containers }}{{ .Name }}:{{ range .Ports }}{{ .ContainerPort }}/{{ .Protocol }} {{ end }}{{ end }}",
            "app:80/TCP 53/UDP 443/ istio-proxy:15090/ ",
        ),
        (
            "{{ (index .Spec.Containers 0).ReadinessProbe.HTTPGet.Port }} {{ (index .Spec.Containers 0).ReadinessProbe.HTTPGet.Port.StrVal }} {{ .Spec.TerminationGracePeriodSeconds }} {{ (index .Spec.Volumes 0).EmptyDir.Medium }}|{{ (index .Spec.Volumes 0).VolumeSource.Secret }}",
            "http http 30 |nil",
        ),
        (
            "{{ .ProxyConfig.InterceptionMode }} {{ .ProxyConfig.InterceptionMode.String }} {{ .ProxyConfig.StatusPort }} {{ .ProxyConfig.Concurrency.GetValue }} {{ .ProxyConfig.Concurrency }} {{ formatDuration .ProxyConfig.TerminationDrainDuration }} {{ .ProxyConfig.DrainDuration.Seconds }}",
            "TPROXY TPROXY 15020 2 value:2 10.5s 45",
        ),
        (
            "{{ .ProxyConfig.GetTracing.GetTlsSettings.GetCaCertificates }} {{ .ProxyConfig.GetImage.GetImageType }}| {{ .ProxyConfig.Tracing.Sampling }} {{ .MeshConfig.TrustDomain }}",
            "/etc/l/ca.pem | 12.5 td",
        ),
        (
            "{{ range $k, $v := .ProxyConfig.ProxyMetadata }}{{ $k }}={{ $v }} {{ end }}{{ .Values.global.proxy.statusPort }} {{ .Values.nothing.at.all }}",
            "A=1 B=<2> 15020 <no value>",
        ),
    ]);
}

#[test]
fn what_is_absent_is_empty() {
    renders_sidecar(&[
        (
            r#"{{ eq .Spec.ServiceAccountName "" }} {{ eq .Spec.NodeName "" }} {{ .Spec.HostNetwork }} [{{ .Spec.Hostname }}] {{ len .Spec.InitContainers }} {{ .Spec.SecurityContext }} {{ .Spec.Affinity | default "none" }}"#,
            "true true false [] 0 nil none",
        ),
        (
            r#"{{ index .ObjectMeta.Annotations "none" | default "d" }} [{{ index .ObjectMeta.Labels "none" }}] {{ .ObjectMeta.Annotations.none }} {{ isset .ObjectMeta.Labels "app" }}"#,
            "d [] <no value> true",
        ),
        (
            r#"{{ if .ProxyConfig.Image }}a{{ else }}b{{ end }} {{ .ProxyImage }}| {{ eq .CompliancePolicy "" }} {{ .MeshConfig.DefaultConfig }} {{ .ObjectMeta.Namespace | default "default" }}"#,
            "b | true <nil> default",
        ),
    ]);
}

#[test]
fn objects_are_written_as_kubernetes_writes_them() {
    renders_sidecar(&[
        (
            "{{ structToJSON (index (index .Spec.Containers 0).Ports 0) }} {{ structToJSON (index (index .Spec.Containers 0).Ports 2) }}",
            r#"{"name":"http","containerPort":80,"protocol":"TCP"} {"containerPort":443}"#,
        ),
        (
            "{{ toYaml .Spec.Containers }}",
            "- image: r:5000/app:1.2@sha256:ab\n  name: app\n  ports:\n  - containerPort: 80\n    name: http\n    protocol: TCP\n  - containerPort: 53\n    protocol: UDP\n  - containerPort: 443\n  readinessProbe:\n    httpGet:\n      path: /ready\n      port: http\n  resources: {}\n- name: istio-proxy\n  ports:\n  - containerPort: 15090\n  resources: {}\n",
        ),
        (
            "{{ toYaml (index .Spec.Volumes 0) }}{{ toJson .ObjectMeta }} {{ toJson .Spec.SecurityContext }} {{ toJson .TypeMeta }}",
            "emptyDir: {}\nname: v\n{\"name\":\"web-1\",\"labels\":{\"app\":\"web\",\"version\":\"v1\"},\"annotations\":{\"sidecar.istio.io/logLevel\":\"debug\"}} null {\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\"}",
        ),
        (
            "{{ toYaml .Values.global.proxy.resources }}{{ toYaml (omitNil .Values.global.proxy.resources) }}",
            "limits:\n  cpu: \"2\"\n  memory: null\nlimits:\n  cpu: \"2\"\n",
        ),
        (
            "{{ protoToJSON .ProxyConfig }}",
            r#"{"concurrency":2,"interceptionMode":"TPROXY","tracing":{"stackdriver":{"maxNumberOfAttributes":"200"},"sampling":12.5,"tlsSettings":{"caCertificates":"/etc/l/ca.pem"}},"proxyMetadata":{"A":"1","B":"\u003c2\u003e"},"terminationDrainDuration":"10.500s"}"#,
        ),
        (
            "{{ toJson .ProxyConfig.Tracing }} {{ protoToJSON .MeshConfig }}",
            r#"{"stackdriver":{"maxNumberOfAttributes":"200"},"sampling":12.5,"tlsSettings":{"caCertificates":"/etc/l/ca.pem"}} {"trustDomain":"td","extensionProviders":[{"name":"otel","opentelemetry":{"service":"x","port":4317,"serviceAttributeEnrichment":"OTEL_SEMANTIC_CONVENTIONS"}}]}"#,
        ),
    ]);
}

#[test]
fn istio_s_functions_take_objects() {
    renders_sidecar(&[
        ("{{ includeInboundPorts .Spec.Containers }} {{ applicationPorts .Spec.Containers }}", "80,443,15090 80,443"),
        (
            r#"{{ annotation .ObjectMeta "sidecar.istio.io/logLevel" "info" }} {{ annotation .ObjectMeta "none" .Values.global.proxy.statusPort }} {{ annotation .ObjectMeta "none" .ProxyConfig.InterceptionMode }} {{ annotation .ObjectMeta "none" nil }}"#,
            "debug 15020 TPROXY <nil>",
        ),
        (
            r#"{{ otelResourceAttributes .MeshConfig .ObjectMeta.Annotations .ObjectMeta.Labels "shop" (slice .Spec.Containers 0 1) }}"#,
            "service.namespace=shop,service.version=1.2@sha256:ab,service.instance.id=shop.$(POD_NAME).app",
        ),
        (
            r#"{{ otelResourceAttributes .MeshConfig (strdict "resource.opentelemetry.io/service.instance.id" "i") (strdict "app.kubernetes.io/version" "v") "" .Spec.Containers }}"#,
            "service.version=v,service.instance.id=i",
        ),
        (
            r#"{{ toJsonMap .ObjectMeta.Labels (strdict "app" "other") }} {{ omit .ObjectMeta.Labels "app" }} {{ toJSON .ObjectMeta.Annotations }}"#,
            r#"{"app":"other","version":"v1"} map[version:v1] {"sidecar.istio.io/logLevel":"debug"}"#,
        ),
    ]);
}

#[test]
fn a_field_that_does_not_exist_is_a_mistake() {
    fails_sidecar(&[
        (
            "{{ .Spec.Container }}",
            r#"template: inject:1:8: executing "inject" at <.Spec.Container>: can't evaluate field Container in type v1.PodSpec"#,
        ),
        (
            "{{ .ObjectMeta.Foo }}",
            r#"template: inject:1:14: executing "inject" at <.ObjectMeta.Foo>: can't evaluate field Foo in type v1.ObjectMeta"#,
        ),
        (
            "{{ .ProxyConfig.Foo }}",
            r#"template: inject:1:15: executing "inject" at <.ProxyConfig.Foo>: can't evaluate field Foo in type *v1alpha1.ProxyConfig"#,
        ),
        (
            "{{ .Foo }}",
            r#"template: inject:1:3: executing "inject" at <.Foo>: can't evaluate field Foo in type *inject.SidecarTemplateData"#,
        ),
        (
            "{{ .ProxyConfig.Image.ImageType }}",
            r#"template: inject:1:15: executing "inject" at <.ProxyConfig.Image.ImageType>: nil pointer evaluating *v1beta1.ProxyImage.ImageType"#,
        ),
        (
            "{{ .Spec.SecurityContext.RunAsUser }}",
            r#"template: inject:1:8: executing "inject" at <.Spec.SecurityContext.RunAsUser>: nil pointer evaluating *v1.PodSecurityContext.RunAsUser"#,
        ),
        (
            "{{ upper (index .Spec.Containers 0).ImagePullPolicy }}",
            r#"template: inject:1:35: executing "inject" at <(index .Spec.Containers 0).ImagePullPolicy>: wrong type for value; expected string; got v1.PullPolicy"#,
        ),
    ]);
}

#[test]
fn a_field_that_is_newer_than_the_tables_is_there() {
    let data = json!({ "Spec": { "containers": [], "brandNew": { "a": [1] } }, "ProxyConfig": { "someFuture": true } });
    let template = "{{ .Spec.BrandNew.a }} {{ .Spec.brandNew }} {{ .ProxyConfig.SomeFuture }} {{ toYaml .Spec }}";
    assert_eq!(render(template, &data).unwrap(), "[1] map[a:[1]] true brandNew:\n  a:\n  - 1\ncontainers: []\n");
}

#[test]
fn data_of_another_form_is_a_mistake_that_names_its_place() {
    let data = json!({ "Spec": { "containers": [{ "name": 5 }] } });
    let error = render("{{ .Spec }}", &data).unwrap_err();
    assert_eq!(error.message, "data.Spec.Containers[0].Name: a number is no string");
}

#[test]
fn fields_are_found_by_their_names_in_json_too() {
    let template = "{{ .ObjectMeta.labels.app }} {{ (index .Spec.containers 0).readinessProbe.httpGet.path }} {{ .ProxyConfig.statusPort }}";
    assert_eq!(render(template, &sidecar()).unwrap(), "web /ready 15020");
}

#[test]
fn gateways_have_the_fields_of_their_gateway() {
    let data = json!({
        "Gateway": {
            "metadata": { "name": "public", "namespace": "edge", "uid": "u-1", "labels": { "a": "b" } },
            "spec": { "gatewayClassName": "istio", "addresses": [{ "type": "IPAddress", "value": "1.2.3.4" }] }
        },
        "DeploymentName": "public-istio",
        "KubeVersion": 132,
        "Ports": [{ "name": "http", "port": 80, "appProtocol": "http" }],
        "InfrastructureLabels": { "x": "y" }
    });
    let template = "{{ .Name }} {{ .Namespace }} {{ .UID }} {{ .ObjectMeta.Labels }} {{ .DeploymentName }} {{ ge .KubeVersion 128 }} \
        {{ range .Ports }}{{ .Port }}/{{ .AppProtocol }}{{ end }} {{ range .Spec.Addresses }}{{ .Type }}={{ .Value }}{{ end }} \
        {{ toJsonMap .InfrastructureLabels }} {{ .Spec.GatewayClassName }}";
    let options = Options { root: Root::Gateway, ..Options::default() };
    let rendered = Template::parse("inject", template).unwrap().render(&data, &options).unwrap();
    assert_eq!(rendered, "public edge u-1 map[a:b] public-istio true 80/http IPAddress=1.2.3.4 {\"x\":\"y\"} istio");
}

#[test]
fn variables_are_seen_as_far_as_they_are_given() {
    let template = Template::parse("inject", r#"{{ env "REGION" "none" }} {{ env "HOME" "none" }}"#).unwrap();
    let environment = BTreeMap::from([("REGION".to_owned(), "eu".to_owned())]);
    let options = Options { environment, ..Options::default() };
    assert_eq!(template.render(&json!({}), &options).unwrap(), "eu none");
}

#[test]
fn what_needs_the_world_outside_says_so() {
    for (template, reason) in [
        ("{{ now }}", "no clock"),
        ("{{ ago 0 }}", "no clock"),
        (r#"{{ date "2006" "x" }}"#, "present date is not known"),
        (r#"{{ dateInZone "2006" 0 "Europe/Berlin" }}"#, "no database of zones"),
        (r#"{{ expandenv "$HOME" }}"#, "environment"),
        (r#"{{ getHostByName "a.b" }}"#, "name server"),
        ("{{ uuidv4 }}", "random"),
        ("{{ randAlpha 5 }}", "random"),
        (r#"{{ genCA "a" 5 }}"#, "certificates"),
        (r#"{{ htpasswd "a" "b" }}"#, "passwords"),
    ] {
        let error = plain(template).unwrap_err();
        assert!(error.message.starts_with("error calling ") && error.message.contains(reason), "{template}: {error}");
    }
}

#[test]
fn half_a_character_is_a_mistake() {
    for template in
        [r#"{{ trunc 1 "é" }}"#, r#"{{ substr 1 2 "é" }}"#, r#"{{ b64dec "/w==" }}"#, r#"{{ abbrev 4 "日本日本" }}"#]
    {
        assert!(matches!(plain(template).unwrap_err().kind, Kind::Execution { .. }), "{template}");
    }
}

#[test]
fn a_template_is_read_once_and_rendered_often() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let template =
        Template::parse("inject", r#"{{ $_ := set .Values "seen" true }}{{ .Values.seen }}{{ .Values.before }}"#)
            .unwrap();
    is_shared(&template);
    for _ in 0..2 {
        assert_eq!(template.render(&json!({ "Values": { "before": 1 } }), &Options::default()).unwrap(), "true1");
    }
}

fn limited(template: &str, limits: Limits) -> Error {
    let options = Options { root: Root::Plain, limits, ..Options::default() };
    Template::parse("inject", template).unwrap().render(&data(), &options).unwrap_err()
}

#[test]
fn what_would_not_end_is_stopped() {
    let few = Limits { steps: 10_000, memory: 100_000, output: 1_000, depth: 50, regex: 10_000 };
    for (template, limit) in [
        (r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#, "deeper than 50 levels"),
        ("{{ range 1000000000 }}{{ end }}", "10000 steps"),
        ("{{ until 1000000000000 }}", "100000 bytes"),
        ("{{ seq 1000000000 }}", "bytes"),
        (r#"{{ repeat 1000000000000 "ab" }}"#, "bytes"),
        (r#"{{ printf "%999999d" 1 }}"#, "bytes"),
        (r#"{{ nindent 1000000000000 "a" }}"#, "bytes"),
        (r#"{{ indent 1000000000000 "a\nb" }}"#, "bytes"),
        (r#"{{ $x := "a" }}{{ range 100 }}{{ $x = print $x $x }}{{ end }}"#, "bytes"),
        (r#"{{ $x := list 1 }}{{ range 100 }}{{ $x = concat $x $x }}{{ end }}"#, "bytes"),
        (r#"{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}"#, "steps"),
        (
            r#"{{ $x := list 1 }}{{ range 60 }}{{ $x = list $x $x }}{{ end }}{{ deepEqual $x (deepCopy $x) }}"#,
            "template",
        ),
        ("{{ range 1000 }}text{{ end }}", "writes more than 1000 bytes"),
        (r#"{{ splitList "" (repeat 50000 "x") }}"#, "bytes"),
        (r#"{{ regexMatch "a" "a" }}"#, "bytes"),
        (r#"{{ replace "" (repeat 1000 "x") (repeat 1000 "y") }}"#, "bytes"),
        (r#"{{ $x := until 500 }}{{ range 100 }}{{ $x = list $x }}{{ end }}{{ toPrettyJson $x }}"#, "bytes"),
        (r#"{{ $x := until 500 }}{{ range 100 }}{{ $x = dict "a" $x }}{{ end }}{{ toYaml $x }}"#, "bytes"),
        (r#"{{ join (repeat 1000 "x") (until 1000) }}"#, "bytes"),
        (r#"{{ regexReplaceAll "" (repeat 1000 "x") (repeat 1000 "y") }}"#, "bytes"),
    ] {
        let error = limited(template, few.clone());
        assert!(matches!(error.kind, Kind::Limit { .. }) && error.message.contains(limit), "{template}: {error}");
    }
}

#[test]
fn a_regular_expression_is_compiled_once_and_not_too_large() {
    let error = limited(r#"{{ regexMatch "(a{500}){500}" "a" }}"#, Limits::default());
    assert!(matches!(error.kind, Kind::Limit { .. }) && error.message.contains("regular expression"), "{error}");
    let often = r#"{{ range 5000 }}{{ if regexMatch "^[a-z0-9.-]+$" $.name }}x{{ end }}{{ end }}"#;
    assert_eq!(plain(often).unwrap().len(), 5000);
    let many = r#"{{ range 5000 }}{{ if regexMatch (print "^" .) $.name }}x{{ end }}{{ end }}"#;
    assert!(matches!(plain(many).unwrap_err().kind, Kind::Limit { .. }));
}

#[test]
fn values_may_hold_themselves_and_lie_deep() {
    let cyclic = r#"{{ $d := dict "l" (list 1) }}{{ $_ := set $d "d" $d }}"#;
    let deep = "{{ $d := list }}{{ range 30000 }}{{ $d = list $d }}{{ end }}";
    for start in [cyclic, deep] {
        assert_eq!(plain(&format!("{start}{{{{ len $d }}}}")).unwrap().len(), 1);
        for uses in [
            "$d",
            "toJson $d",
            "toYaml $d",
            "deepCopy $d",
            "deepEqual $d (list $d)",
            "omitNil $d",
            "printf \"%#v\" $d",
            "toPrettyJson $d",
        ] {
            let template = format!("{start}{{{{ {uses} }}}}");
            match plain(&template) {
                // lists are as deep as they are and differ at once
                Ok(found) => assert_eq!((uses, found.as_str()), ("deepEqual $d (list $d)", "false")),
                Err(error) => assert!(matches!(error.kind, Kind::Limit { .. }), "{template}: {error}"),
            }
        }
    }
    let merged =
        format!("{cyclic}{{{{ $e := deepCopy (dict) }}}}{{{{ $_ := set $e \"d\" $e }}}}{{{{ merge $e $d | len }}}}");
    assert!(matches!(plain(&merged).unwrap_err().kind, Kind::Limit { .. }));
}

#[test]
fn text_that_nests_too_deep_is_no_template() {
    for template in [
        format!("{{{{ {} }}}}", "(".repeat(20_000)),
        format!("{{{{ {}1{} }}}}", "(".repeat(200), ")".repeat(200)),
        "{{ if true }}".repeat(20_000),
        "{{ range .l }}".repeat(20_000),
        "{{ block \"a\" . }}".repeat(20_000),
    ] {
        let error = Template::parse("inject", &template).unwrap_err();
        assert!(error.message.contains("nest deeper than 100 levels"), "{error}");
    }
    let long = format!("{{{{ if .off }}}}{}{{{{ else }}}}last{{{{ end }}}}", "{{ else if .off }}".repeat(5_000));
    assert_eq!(plain(&long).unwrap(), "last");
}

/// As deep as is allowed, in a thread with half of the usual stack.
#[test]
fn the_deepest_that_is_allowed_fits_the_stack() {
    let inner = format!(
        "{}{{{{ template \"a\" (list .) }}}}{}",
        "{{ if true }}{{ with (((.))) }}".repeat(20),
        "{{ end }}{{ end }}".repeat(20)
    );
    let templates = [
        format!("{{{{ define \"a\" }}}}{inner}{{{{ end }}}}{{{{ template \"a\" . }}}}"),
        "{{ define \"a\" }}{{ $x := list . }}{{ toJson $x }}{{ toYaml $x }}{{ template \"a\" $x }}{{ end }}{{ template \"a\" . }}".to_owned(),
    ];
    let thread = std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(move || templates.map(|template| limited(&template, Limits { depth: usize::MAX, ..Limits::default() })));
    for error in thread.unwrap().join().unwrap() {
        assert!(matches!(error.kind, Kind::Limit { .. }), "{error}");
    }
}

/// Pieces of templates: most of what is put together from them is none, and some of it is.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "\n",
        "(",
        ")",
        "|",
        ".",
        "$",
        "$x",
        ":=",
        "=",
        ",",
        "\"a\"",
        "`b`",
        "'c'",
        "1",
        "1.5",
        "-1",
        "nil",
        "true",
        ".map",
        ".words",
        ".none.x",
        ".count",
        "if",
        "else",
        "end",
        "range",
        "with",
        "define \"t\"",
        "template \"t\"",
        "block \"u\"",
        "break",
        "continue",
        "/*",
        "*/",
        "{{ end }}",
        "{{ if .on }}",
        "{{ range .words }}",
        "{{ range $i, $e := .map }}",
        "{{ with $x := .map }}",
        "printf",
        "\"%v %d %[3]*.[2]*[1]f\"",
        "index",
        "len",
        "eq",
        "lt",
        "and",
        "or",
        "not",
        "dict",
        "list",
        "set",
        "merge",
        "toYaml",
        "toJson",
        "quote",
        "upper",
        "trunc",
        "substr",
        "splitList",
        "join",
        "until",
        "add",
        "div",
        "divf",
        "round",
        "repeat",
        "regexReplaceAll",
        "semverCompare",
        "toDate",
        "date",
        "b64dec",
        "urlParse",
        "slice",
        "chunk",
        "deepCopy",
        "omitNil",
        "wrap",
        "abbrev",
        "snakecase",
        "é",
        "\u{0}",
        "9999999999",
        "{{ $x := dict }}",
        "{{ $x = list $x }}",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

/// Actions with functions of any kind and arguments of any kind.
fn actions() -> impl Strategy<Value = String> {
    let names: Vec<&str> = functions::names().collect();
    let value = prop::sample::select(vec![
        "nil",
        "1",
        "-1",
        "0",
        "2.5",
        "\"\"",
        "\"abc\"",
        "\"é\"",
        "\"%d\"",
        "\"2006-01-02\"",
        "\"[a-\"",
        "\"(a|b)*\"",
        ".",
        ".map",
        ".words",
        ".mixed",
        ".none",
        ".text",
        "true",
        "(list)",
        "(dict \"a\" (list 1))",
        "(strdict \"a\" \"b\")",
        "(semver \"1.2.3\")",
        "(until 3)",
        "9223372036854775807",
        "-9223372036854775808",
        "1e300",
        "(toDate \"2006\" \"2024\")",
        "(split \",\" \"a,b\")",
        "(int64 7)",
        "(add 1 2)",
    ]);
    let call = (prop::sample::select(names), prop::collection::vec(value, 0..5));
    prop::collection::vec(call, 1..4).prop_map(|calls| {
        let calls: Vec<String> = calls.iter().map(|(name, values)| format!("{name} {}", values.join(" "))).collect();
        format!("{{{{ {} }}}}", calls.join(" | "))
    })
}

fn holds(template: &str) -> Result<(), TestCaseError> {
    let limits = Limits { steps: 20_000, memory: 1 << 20, output: 4_096, depth: 50, regex: 1 << 16 };
    let options = Options { root: Root::Plain, limits, ..Options::default() };
    let Ok(parsed) = Template::parse("inject", template) else { return Ok(()) };
    let first = parsed.render(&data(), &options);
    if let Ok(text) = &first {
        prop_assert!(text.len() <= options.limits.output);
    }
    // the same each time
    prop_assert_eq!(first, parsed.render(&data(), &options));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        holds(&text)?;
        holds(&format!("{{{{{text}}}}}"))?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        holds(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn any_pieces_are_rendered_or_refused(text in pieces()) {
        holds(&text)?;
        holds(&format!("{{{{ {text} }}}}"))?;
    }

    #[test]
    fn any_call_gives_a_value_or_a_reason(text in actions()) {
        holds(&text)?;
    }
}
