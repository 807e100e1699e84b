//! Templates of users in the language of Go's `text/template`, with the functions that Istio's injector has.
