# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# The image is made by the Makefile itself; here is what it is held to.
SUITES += image
.PHONY: suite-image
suite-image: image kernel
	@tests/image/run.sh $(O)
