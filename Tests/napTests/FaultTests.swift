import Foundation
import NapTestSupport
import Testing

/// What may go wrong while a job runs, besides being killed: each ends in a sentence, and the job goes on afterwards.
@Suite(.serialized) struct FaultTests {
  private static let arguments = [
    "prune", "model.onnx", "-o", "out.onnx", "--data", "data", "--preset", "mnist", "--quiet",
    "--macs", "0.5", "--epochs", "12",
  ]

  /// What happens, as lines for `sh` with the program and the arguments of a job in `"$@"`: the job, and what
  /// makes it end well. `$1` is the program alone.
  static let faults: [(name: String, shell: String, says: [String])] = [
    (
      "interrupted, terminated, hung up",
      """
      for signal in INT TERM HUP; do
        if [ -d out.run ]; then "$1" resume out.run & else "$@" & fi
        until [ -e out.run/journal/1.step ] || ! kill -0 $!; do sleep 0.05; done
        sleep 0.3; kill -$signal $!; wait $!; echo "status $?"
      done
      "$1" resume out.run
      """, ["status 130", "go on with: nap resume out.run"]
    ),
    (
      "warned before a kill, again and again",
      """
      for signal in USR1 USR2 XCPU; do
        rm -rf out.run out.onnx
        "$@" & until [ -e out.run/journal/1.step ] || ! kill -0 $!; do sleep 0.02; done
        kill -$signal $!; kill -$signal $!; wait $!; echo "$signal: status $?"
      done
      "$1" resume out.run
      """,
      [
        "USR1: status 130", "USR2: status 130", "XCPU: status 130", "interrupted by SIGUSR2",
        "the processor time it may take", "go on with: nap resume out.run",
      ]
    ),
    (
      "files may not become that large, then they may",
      """
      (ulimit -f 20; "$@"; echo "status $?")
      "$1" resume out.run || "$@"
      """, ["status 1", "file too large"]
    ),
    (
      "the disk is full, then it is not",
      """
      mkdir full
      export TMPDIR="$PWD"
      mount -t tmpfs -o size=1500k none full
      cp -r model.onnx data full
      cd full
      "$@" &
      until [ -e out.run/journal/1.step ] || ! kill -0 $!; do sleep 0.02; done
      head -c 3000000 /dev/zero >filler
      wait $!; echo "status $?"
      rm filler
      mount -o remount,size=50m "$PWD"
      [ -e out.onnx ] || "$1" resume out.run || "$@"
      cp out.onnx ..
      """, ["status 1", "no space left", "go on with: nap resume out.run"]
    ),
    (
      "the folder is read-only, then it is not",
      """
      mkdir fixed
      mount -t tmpfs none fixed
      cp -r model.onnx data fixed
      cd fixed
      mount -o remount,ro "$PWD"
      "$@"; echo "status $?"
      mount -o remount,rw "$PWD"
      "$@"
      cp out.onnx ..
      """, ["status 1", "read-only"]
    ),
    (
      "two at once in one directory",
      """
      "$@" &
      until [ -e out.run/job.json ] || ! kill -0 $!; do sleep 0.05; done
      "$@"; echo "status $?"
      "$1" resume out.run; echo "status $?"
      wait
      """, ["status 2", "another nap is at work in 'out.run'"]
    ),
    (
      "nobody reads what is said",
      """
      ("$@" 2>&1; echo "status $?" >status) | head -c 1 >/dev/null
      sleep 0.1
      """, []
    ),
    (
      "a checkpoint is broken",
      """
      "$@" &
      until [ -e out.run/journal/1.step ] || ! kill -0 $!; do sleep 0.05; done
      sleep 1; kill -9 $!; wait
      for file in out.run/journal/*; do
        truncate -s $(($(stat -c %s $file) / 2)) $file
        break
      done
      "$1" resume out.run
      """, []
    ),
    (
      "the data is gone, and comes back",
      """
      "$@" &
      until [ -e out.run/journal/1.step ] || ! kill -0 $!; do sleep 0.05; done
      sleep 0.5; kill -9 $!; wait
      mv data away
      "$1" resume out.run; echo "status $?"
      mv away data
      "$1" resume out.run
      """, ["status 2", "is not what it was when the job began"]
    ),
  ]

  @Test(arguments: faults.indices) func jobsEndWellWhateverHappens(_ index: Int) throws {
    let fault = Self.faults[index]
    // Mounting takes the right to.
    let mounts = fault.shell.contains("mount ")
    let unshare = ["unshare", "--mount", "true"]
    if mounts, try !Self.succeeds(unshare) { return }
    try withFolder { folder in
      try KillTests.prepare(folder)
      let inside = "cd '\(folder.path)' && export NAP_CHECKPOINT_SECONDS=0.01\n"
      let undisturbed = try Program.run(
        Self.arguments + ["-o", "expected.onnx", "--no-run"], shell: inside + "exec \"$@\"")
      #expect(undisturbed.status == 0, "\(undisturbed)")
      let script = folder.appending(path: "fault.sh")
      try Data((inside + fault.shell).utf8).write(to: script)
      let result = try Program.run(
        Self.arguments + ["--run", "out.run"],
        shell: "exec \(mounts ? "unshare --mount" : "") timeout 120 sh '\(script.path)' \"$@\"")
      let said = result.output + result.errors
      for words in fault.says { #expect(said.contains(words), "\(fault.name): \(said)") }
      let expected = try Data(contentsOf: folder.appending(path: "expected.onnx"))
      let written = try? Data(contentsOf: folder.appending(path: "out.onnx"))
      #expect(written == expected, "\(fault.name): \(said)")
    }
  }

  private static func succeeds(_ arguments: [String]) throws -> Bool {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus == 0
  }
}
