#!/usr/bin/env bash
# Makes our images as OCI archives, without a container engine: target/images/NAME.tar, and beside it what it holds, unpacked, from which
# tests run it (NAME/root, NAME/config.json). The same programs and packages give the same digests.
# PROFILE=dev takes the build of every day; otherwise it is a release.
set -euo pipefail
# Modes of files are part of the digest, and others than their owner have to read them.
umask 022
cd "$(dirname "$0")/../.."
: "${PROFILE:=release}" "${CARGO:=cargo}" "${TAG:=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)}" "${HUB:=localhost/meltemi}"
out=target/images
built=target/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE")
envoy=.cache/envoy/envoy
missing=
for tool in apt-get dpkg-deb python3 strip; do command -v $tool >/dev/null || missing="$missing $tool"; done
[ -z "$missing" ] || { echo "missing:$missing; images are put together from Debian's packages, on Debian 12 or newer"; exit 1; }
[ -f $envoy ] || { echo "missing: $envoy; make setup fetches it"; exit 1; }

layers=$(mktemp -d)
trap 'rm -rf "$layers"' EXIT
mkdir -p $out

mkdir "$layers/packages"
mapfile -t packages < <(grep -v '^#' hack/images/packages.txt)
(cd "$layers/packages" && apt-get download -qq -o APT::Sandbox::User=root "${packages[@]}") || { echo "apt-get could not fetch them; apt-get update first"; exit 1; }

# The control plane: the program, which brings all that it needs, and the roots that vouch for servers outside the cluster.
mkdir "$layers/meltemid"
echo "building meltemid, static ($PROFILE)"
$CARGO rustc --quiet --locked --profile "$PROFILE" -p meltemid --bin meltemid -- -C target-feature=+crt-static
strip --strip-debug -o "$layers/meltemid/meltemid" "$built/meltemid"
mkdir -p "$layers/meltemid"/{etc/ssl/certs,tmp,var/run/meltemi} "$layers/certificates"
dpkg-deb -x "$layers"/packages/ca-certificates_*.deb "$layers/certificates"
cat "$layers"/certificates/usr/share/ca-certificates/mozilla/*.crt >"$layers/meltemid/etc/ssl/certs/ca-certificates.crt"
chmod 1777 "$layers/meltemid/tmp"
chown 1337:1337 "$layers/meltemid/var/run/meltemi" 2>/dev/null || true
echo "istio-proxy:x:1337:1337::/:/" >"$layers/meltemid/etc/passwd"
echo "istio-proxy:x:1337:" >"$layers/meltemid/etc/group"
hack/images/archive.py make --name "$HUB/meltemid:$TAG" --entrypoint /meltemid --user 1337:1337 --out $out/meltemid "$layers/meltemid"

# The proxy: Envoy and its agent, with what sets rules of capture.
echo "building meltemi-agent ($PROFILE)"
$CARGO build --quiet --locked --profile "$PROFILE" -p agent
base=$layers/base
mkdir -p "$base"/usr/{bin,sbin,lib,lib64,local/bin} "$base"/{etc,tmp,var/lib/istio,run,proc,sys,dev}
for folder in bin sbin lib lib64; do ln -s usr/$folder "$base/$folder"; done
ln -s ../run "$base/var/run"
chmod 1777 "$base/tmp"
for package in "$layers"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$base"
done
# What is on it, for whoever has to know.
mkdir -p "$base/usr/share/meltemi"
for package in "$layers"/packages/*.deb; do dpkg-deb --show --showformat '${Package} ${Version}\n' "$package"; done | sort >"$base/usr/share/meltemi/packages"
# What the packages do when they are installed.
cat "$base"/usr/share/ca-certificates/mozilla/*.crt >"$base/etc/ssl/certs/ca-certificates.crt"
for family in iptables ip6tables; do
    for program in "" -restore -save; do ln -sf xtables-nft-multi "$base/usr/sbin/$family$program"; done
done
# Licences stay.
find "$base/usr/share/doc" ! -type d ! -name copyright -delete
rm -rf "$base"/usr/share/{man,locale,lintian,bash-completion,ca-certificates,info} "$base"/usr/lib/x86_64-linux-gnu/{gconv,audit} "$base/etc/init.d"
printf 'root:x:0:0::/root:/\nistio-proxy:x:1337:1337::/:/\n' >"$base/etc/passwd"
printf 'root:x:0:\nistio-proxy:x:1337:\n' >"$base/etc/group"
echo "hosts: files dns" >"$base/etc/nsswitch.conf"
install -m 0755 $envoy "$base/usr/local/bin/envoy"
agent=$layers/agent
mkdir -p "$agent/usr/local/bin"
strip --strip-debug -o "$agent/usr/local/bin/meltemi-agent" "$built/meltemi-agent"
ln -s meltemi-agent "$agent/usr/local/bin/pilot-agent"
hack/images/archive.py make --name "$HUB/proxyv2:$TAG" --entrypoint /usr/local/bin/pilot-agent --user 1337:1337 \
    --env PATH=/usr/local/bin:/usr/sbin:/usr/bin --out $out/proxyv2 "$base" "$agent"
