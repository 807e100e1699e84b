// Command kubelet is the part of a node that the API server calls: logs, exec, attach and port-forward of pods whose containers somebody
// else runs. That somebody describes each pod in a file, `<folder>/<namespace>/<pod>.json`; nothing else is known here.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

const (
	idle     = 4 * time.Hour
	creation = 30 * time.Second
	// How often a followed log is looked at.
	follow = 50 * time.Millisecond
)

// pod is what its player says of it.
type pod struct {
	// Netns is the path of its network namespace.
	Netns      string               `json:"netns"`
	Containers map[string]container `json:"containers"`
}

type container struct {
	// Enter is the command that runs what follows it inside.
	Enter []string `json:"enter"`
	Env   []string `json:"env"`
	// Log is the file with its output, Previous that of its last run.
	Log      string `json:"log"`
	Previous string `json:"previous"`
	// Running says that there is something to follow or to enter.
	Running bool `json:"running"`
}

type node struct{ folder string }

func (n node) find(namespace, name string) (pod, error) {
	var found pod
	// Names of objects hold no slash and are not dots.
	text, err := os.ReadFile(filepath.Join(n.folder, filepath.Base(namespace), filepath.Base(name)+".json"))
	if err != nil {
		return found, fmt.Errorf("pod %s/%s is not on this node", namespace, name)
	}
	return found, json.Unmarshal(text, &found)
}

func (n node) container(r *http.Request) (container, error) {
	found, err := n.find(r.PathValue("namespace"), r.PathValue("pod"))
	if err != nil {
		return container{}, err
	}
	one, ok := found.Containers[r.PathValue("container")]
	if !ok {
		return one, fmt.Errorf("container %s is not there (yet)", r.PathValue("container"))
	}
	return one, nil
}

func main() {
	folder := flag.String("pods", "", "the folder that describes the pods")
	address := flag.String("address", "", "where to listen")
	credentials := flag.String("credentials", "", "the folder with ca.crt and <name>.crt, <name>.key")
	name := flag.String("name", "kubelet", "the name of the certificate")
	flag.Parse()
	n := node{folder: *folder}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.logs)
	for _, method := range []string{"GET", "POST"} {
		mux.HandleFunc(method+" /exec/{namespace}/{pod}/{container}", n.exec)
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}", n.portForward)
	}
	roots := x509.NewCertPool()
	root, err := os.ReadFile(filepath.Join(*credentials, "ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(root) {
		log.Fatalf("reading the roots of %s: %v", *credentials, err)
	}
	server := http.Server{Addr: *address, Handler: mux, TLSConfig: &tls.Config{
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
		// Connections change their protocol, which HTTP/2 cannot.
		NextProtos: []string{"http/1.1"},
	}}
	path := filepath.Join(*credentials, *name)
	log.Fatal(server.ListenAndServeTLS(path+".crt", path+".key"))
}

func (n node) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	into, err := n.container(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	remotecommand.ServeExec(w, r, into, r.PathValue("pod"), "", r.PathValue("container"), r.URL.Query()["command"],
		options, idle, creation, remotecommand.SupportedStreamingProtocols)
}

// ExecInContainer runs a command inside.
func (c container) ExecInContainer(ctx context.Context, _, _, name string, command []string, in io.Reader, out, errors io.WriteCloser,
	terminal bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	if !c.Running || len(c.Enter) == 0 {
		return fmt.Errorf("container %s does not run", name)
	}
	run := exec.CommandContext(ctx, c.Enter[0], append(c.Enter[1:], command...)...)
	run.Env = c.Env
	if terminal {
		return ended(interactive(run, in, out, resize))
	}
	run.Stdout, run.Stderr = out, errors
	// Not as run.Stdin: Wait would wait until the client closes its side.
	if in != nil {
		pipe, err := run.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(pipe, in)
			_ = pipe.Close()
		}()
	}
	return ended(run.Run())
}

// interactive runs a command on a terminal of its own.
func interactive(run *exec.Cmd, in io.Reader, out io.Writer, resize <-chan remotecommand.TerminalSize) error {
	terminal, err := pty.Start(run)
	if err != nil {
		return err
	}
	defer terminal.Close()
	go func() {
		for size := range resize {
			_ = pty.Setsize(terminal, &pty.Winsize{Rows: size.Height, Cols: size.Width})
		}
	}()
	if in != nil {
		go func() { _, _ = io.Copy(terminal, in) }()
	}
	// A terminal that nobody writes to any more reads as an error.
	_, _ = io.Copy(out, terminal)
	return run.Wait()
}

// ended is how a command's end is told to the client.
func ended(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return utilexec.CodeExitError{Err: err, Code: exit.ExitCode()}
	}
	return err
}

func (n node) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	found, err := n.find(r.PathValue("namespace"), r.PathValue("pod"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	portforward.ServePortForward(w, r, found, r.PathValue("pod"), "", options, idle, creation, portforward.SupportedProtocols)
}

// PortForward connects a stream with a port of the pod's loopback.
func (p pod) PortForward(_ context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	if p.Netns == "" {
		return fmt.Errorf("pod %s has no network", name)
	}
	connection, err := dial(p.Netns, fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer connection.Close()
	var done sync.WaitGroup
	done.Go(func() {
		_, _ = io.Copy(connection, stream)
		if half, ok := connection.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
	})
	_, err = io.Copy(stream, connection)
	// Whoever has half closed may still send; one whose answer is over does not wait for that.
	return err
}

// dial connects from inside a network namespace.
func dial(netns, address string) (net.Conn, error) {
	type dialed struct {
		net.Conn
		error
	}
	result := make(chan dialed)
	go func() {
		// Never unlocked: the thread ends with this goroutine instead of serving others in a strange namespace.
		runtime.LockOSThread()
		file, err := os.Open(netns)
		if err != nil {
			result <- dialed{nil, err}
			return
		}
		defer file.Close()
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- dialed{nil, fmt.Errorf("entering %s: %w", netns, err)}
			return
		}
		connection, err := net.DialTimeout("tcp", address, 10*time.Second)
		result <- dialed{connection, err}
	}()
	got := <-result
	return got.Conn, got.error
}

func (n node) logs(w http.ResponseWriter, r *http.Request) {
	from, err := n.container(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	query := r.URL.Query()
	for _, unknown := range []string{"timestamps", "sinceTime", "sinceSeconds"} {
		// The files hold what was printed, not when.
		if value := query.Get(unknown); value != "" && value != "false" {
			http.Error(w, "this node cannot tell "+unknown, http.StatusBadRequest)
			return
		}
	}
	path := from.Log
	if query.Get("previous") == "true" {
		path = from.Previous
	}
	file, err := os.Open(path)
	if err != nil {
		http.Error(w, "there is no such log", http.StatusNotFound)
		return
	}
	defer file.Close()
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		if err := skip(file, tail); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	var limited io.Reader = file
	if limit, err := strconv.ParseInt(query.Get("limitBytes"), 10, 64); err == nil {
		limited = io.LimitReader(file, limit)
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.Copy(w, limited)
	for query.Get("follow") == "true" && r.Context().Err() == nil {
		// Asked before the rest is read: what was written until the end is not lost.
		now, err := n.container(r)
		over := err != nil || !now.Running || now.Log != from.Log
		if _, err := io.Copy(w, limited); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
		if over {
			return
		}
		time.Sleep(follow)
	}
}

// skip goes to where the last lines begin.
func skip(file *os.File, lines int) error {
	text, err := io.ReadAll(file)
	if err != nil {
		return err
	}
	all := strings.SplitAfter(string(text), "\n")
	if last := len(all) - 1; all[last] == "" {
		all = all[:last]
	}
	from := len(strings.Join(all[:max(0, len(all)-lines)], ""))
	_, err = file.Seek(int64(from), io.SeekStart)
	return err
}
