// SPDX-License-Identifier: Apache-2.0

// usage: reader FILE.tar.xz
// Prints each file's name and the SHA-256 of its content, as Go programs read such a file.
package main

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/ulikunitz/xz"
)

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	stream, err := xz.NewReader(file)
	if err != nil {
		log.Fatal(err)
	}
	for archive := tar.NewReader(stream); ; {
		member, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		if member.Typeflag != tar.TypeReg {
			continue
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, archive); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%x  %s\n", hash.Sum(nil), member.Name)
	}
}
