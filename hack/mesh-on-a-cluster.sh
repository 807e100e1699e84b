#!/usr/bin/env bash
# A mesh on the cluster of $KUBECONFIG, step by step as the README shows it: installed, an application with proxies beside it, a gateway,
# a canary, no more plain text, and gone. What is seen at each step is compared with what is to be seen; the first difference ends it.
# Needs kubectl and meltemi in PATH, and a cluster without a mesh: `make mesh` makes one.
set -euo pipefail
cd "$(dirname "$0")/.."
samples=manifests/samples

say() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
fail() {
    trap - ERR
    echo "FAILED: $*" >&2
    kubectl get pods -A -o wide >&2 || true
    kubectl get events -A --sort-by=.lastTimestamp 2>/dev/null | tail -n 20 >&2 || true
    for pod in $(kubectl get pods -n shop -o name 2>/dev/null); do
        echo "--- $pod" >&2
        kubectl logs -n shop "$pod" --all-containers --tail=15 >&2 || true
    done
    kubectl logs -n istio-system deploy/istiod --tail=30 >&2 || true
    exit 1
}
# until_seen SECONDS PATTERN COMMAND…: asks again until the output matches.
until_seen() {
    local deadline=$((SECONDS + $1)) wanted=$2 seen=
    shift 2
    while true; do
        seen=$("$@" 2>&1) || true
        if [[ $seen =~ $wanted ]]; then
            return
        fi
        [ "$SECONDS" -lt "$deadline" ] || fail "\"$*\" did not say \"$wanted\", it said: $seen"
        sleep 0.2
    done
}
ask() { # NAMESPACE URL TIMES: how often which version answered
    kubectl exec -n "$1" deploy/client -c client -- python3 /app/ask.py "$2" "$3"
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR
share() { # PATTERN: how many of the counts on standard input match
    awk -v pattern="$1" '$0 ~ pattern { sum += $1 } END { print sum + 0 }'
}

meltemi install
say "installed"

kubectl create namespace shop
kubectl label namespace shop istio-injection=enabled
kubectl apply -n shop -f $samples/shop.yaml
kubectl create namespace outside
kubectl apply -n outside -f $samples/shop.yaml
for namespace in shop outside; do
    for name in client front reviews-v1 reviews-v2; do
        kubectl rollout status -n $namespace deploy/$name --timeout=120s >/dev/null || fail "deployment $namespace/$name"
    done
done
proxies=$(kubectl get pods -n shop -o jsonpath='{range .items[*]}{.spec.initContainers[*].name}{" "}{.spec.containers[*].name}{"\n"}{end}' | grep -c istio-proxy || true)
[ "$proxies" = 4 ] || fail "4 pods of namespace shop should have a proxy, $proxies have"
say "the application is there, with a proxy in each of its 4 pods; another one without proxies is in namespace outside"

until_seen 30 '^5 front v1 by mTLS$' ask shop http://front:9080/ 5
say "calls between them are mutual TLS"
until_seen 30 '^[1-5] reviews v[12]' ask outside http://reviews.shop:9080/ 5
say "plain text from outside is still taken"

kubectl apply -n shop -f $samples/gateway.yaml
gateway=$(kubectl get service -n istio-system istio-ingressgateway -o jsonpath='{.spec.clusterIP}')
world() {
    kubectl exec -n outside deploy/client -c client -- python3 -c "
import http.client
asked = http.client.HTTPConnection('$gateway', 80, timeout=5)
asked.request('GET', '/', headers={'host': 'shop.example.com'})
answer = asked.getresponse()
print(answer.status, answer.read().decode())"
}
until_seen 60 '^200 .*"name": "front"' world
say "the world comes in by the gateway"

# Two objects, of which one refers to the other: no reason for a warning.
said=$(kubectl apply -n shop -f $samples/canary.yaml 2>&1)
[[ $said != *Warning* ]] || fail "the canary was applied with a warning: $said"
# Whether it is live is known when a call by the old way is no more seen: one in two went to v2.
few() { local n; n=$(ask shop http://reviews:9080/ 100 | share ' v2'); [ "$n" -lt 25 ] && echo few; }
until_seen 30 few few
seen=$(ask shop http://reviews:9080/ 400 | share ' v2')
# Of 400 calls of which each goes to v2 with 10 %, 16 to 70 do so but once in a million times.
[ "$seen" -ge 16 ] && [ "$seen" -le 70 ] || fail "10 % of 400 calls should go to v2, $seen did"
say "canary: $seen of 400 calls go to v2, where 10 % are wanted"
sed -e 's/weight: 90/weight: 0/' -e 's/weight: 10}/weight: 100}/' $samples/canary.yaml | kubectl apply -n shop -f -
until_seen 30 '^100 reviews v2 by mTLS$' ask shop http://reviews:9080/ 100
say "canary: all calls go to v2"

kubectl apply -n shop -f $samples/strict.yaml
until_seen 30 '^5 refused$' ask outside http://reviews.shop:9080/ 5
until_seen 30 '^100 reviews v2 by mTLS$' ask shop http://reviews:9080/ 100
until_seen 30 '^200 .*"name": "front"' world
say "STRICT: plain text from outside is refused, the mesh and its gateway go on"

refused=$(kubectl apply -n shop -f - 2>&1 <<'YAML'
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken}
spec:
  hosts: [broken.example.com]
  http: [{match: [{uri: {regex: "/a["}}], route: [{destination: {host: front}}]}]
YAML
) && fail "a broken VirtualService was taken"
[[ $refused == *'spec.http[0].match[0].uri'* ]] || fail "a broken VirtualService was refused in other words: $refused"
say "a broken VirtualService is refused, with the place of the mistake"

meltemi uninstall
until_seen 60 '^No resources' kubectl get pods -n istio-system
[ -z "$(kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations -o name | grep istio)" ] || fail "webhooks are left"
[ -z "$(kubectl get clusterroles,clusterrolebindings -o name | grep istiod)" ] || fail "rights are left"
kubectl get virtualservices -n shop reviews >/dev/null || fail "the users' objects are gone"
kubectl delete namespace shop outside --wait=false >/dev/null
say "uninstalled; the users' objects are still there"
