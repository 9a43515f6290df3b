#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What `plan --format=slurm` and `--format=make` print, on a real Slurm with two workers.
bats_require_minimum_version 1.5.0
load project
load shared_cache
load slurm

setup_file() {
  slurm_start 2
}

teardown_file() {
  slurm_stop
}

setup() {
  slurm_needed
  setup_shared_cache
  export ARTEFACT_REGISTRY=127.0.0.1:$PORT ARTEFACT_REPOSITORY=t$BATS_TEST_NUMBER
  # The workers keep their caches: each test has results of its own.
  noisy kernel '' "mkdir -p /out/kernel/opt; echo $BATS_TEST_NUMBER >/out/kernel/opt/kernel"
  noisy tools '' "mkdir -p /out/tools/opt; echo $BATS_TEST_NUMBER >/out/tools/opt/tools"
  noisy initrd 'needs: [kernel]' 'mkdir -p /out/initrd/opt; cat /deps/kernel/opt/kernel >/out/initrd/opt/initrd'
  noisy image 'needs: [initrd, tools]' 'mkdir -p /out/image/opt; cat /deps/initrd/opt/initrd /deps/tools/opt/tools >/out/image/opt/image'
  kb lock image
}

made_as_on_one_machine() {
  run -0 kb plan --remote image
  [ -z "$output" ]
  env -u ARTEFACT_REGISTRY "$KBUILD" --builder=host --cache alone -o alone-build image -q
  "$KBUILD" --builder=host --cache pulled-cache -o pulled --remote=require image -q
  cmp alone-build/kata-static-image.tar.xz pulled/kata-static-image.tar.xz
}

@test "the script submits all jobs, and Slurm makes them in order" {
  kb plan --remote --push --format=slurm image >submit.sh
  run -0 sh submit.sh --output=%j.out
  [[ $output == "4 jobs submitted:"* ]]
  slurm_wait_idle 60
  cat ./*.out # seen if the test fails
  [ "$(cat ./*.out | grep -c 'done in')" -eq 4 ]
  made_as_on_one_machine
}

@test "a step that fails cancels what depends on it, and the rest is made" {
  noisy initrd 'needs: [kernel]' 'exit 1'
  kb plan --remote --push --format=slurm image >submit.sh
  sh submit.sh --output=%j.out
  slurm_wait_idle 60
  cat ./*.out
  run -0 slurm_jobs
  [[ $output == *"|FAILED|"*"|3:0|initrd:x86_64"* ]]
  [[ $output == *"|CANCELLED|"*"|image:x86_64"* ]]
  run -0 kb plan --remote tools
  [ -z "$output" ]
}

@test "an option that Slurm refuses leaves no job behind" {
  kb plan --remote --push --format=slurm image >submit.sh
  sed -i '/--job-name=initrd:x86_64/s/--constraint=[^ ]*/--constraint=nowhere/' submit.sh
  run -1 sh submit.sh --hold
  [ -z "$(squeue -h -o %i)" ]
}

@test "make submits with srun" {
  kb plan --remote --push --format=make image >plan.mk
  make -f plan.mk -j4 RUN='srun -Q -n1' >make.log 2>&1 || { cat make.log; false; }
  cat make.log
  [ "$(grep -c 'done in' make.log)" -eq 4 ]
  made_as_on_one_machine
}
