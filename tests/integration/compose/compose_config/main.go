// Prints a Compose file as the loader of docker compose understands it, in JSON.
//
// Usage: compose_config FILE ENV_FILE [PROFILE...]
package main

import (
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/cli"
)

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: compose_config FILE ENV_FILE [PROFILE...]"))
	}
	options, err := cli.NewProjectOptions(
		[]string{os.Args[1]},
		cli.WithEnvFiles(os.Args[2]),
		cli.WithDotEnv,
		cli.WithProfiles(os.Args[3:]),
		cli.WithInterpolation(true),
		cli.WithResolvedPaths(true),
		cli.WithNormalization(true),
		cli.WithConsistency(true),
	)
	if err != nil {
		fail(err)
	}
	project, err := cli.ProjectFromOptions(options)
	if err != nil {
		fail(err)
	}
	content, err := project.MarshalJSON()
	if err != nil {
		fail(err)
	}
	fmt.Println(string(content))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
