import Foundation
import NapTensor
import NapTestSupport
import Testing

/// What is free is the least of all limits; nothing larger is taken.
@Suite struct MemoryTests {
  private static let gibibyte = 1 << 30

  /// A machine with 8 GiB free, of which some other file leaves less.
  private static let limits: [(what: String, files: [String: String], left: Int)] = [
    ("nothing", [:], 8 * gibibyte),
    (
      "ulimit -v",
      [
        "proc/self/limits":
          "Max address space         4294967296           unlimited            bytes",
        "proc/self/status": "VmPeak: 9 kB\nVmSize:\t 1048576 kB\nVmData: 1 kB",
      ], 3 * gibibyte
    ),
    (
      "ulimit -d",
      [
        "proc/self/limits": "Max data size  2147483648  unlimited  bytes",
        "proc/self/status": "VmSize: 5 kB\nVmData:  1048576 kB",
      ], gibibyte
    ),
    (
      "no limit",
      ["proc/self/limits": "Max address space   unlimited   unlimited   bytes"], 8 * gibibyte
    ),
    (
      "control group 2, of a parent",
      [
        "proc/self/cgroup": "0::/jobs/mine",
        "sys/fs/cgroup/jobs/mine/memory.max": "max\n",
        "sys/fs/cgroup/jobs/memory.max": "2147483648\n",
        "sys/fs/cgroup/jobs/memory.current": "1610612736\n",
        "sys/fs/cgroup/jobs/memory.stat": "anon 5\ninactive_file 536870912\n",
      ], gibibyte
    ),
    (
      "control group 2, in a container",
      [
        "proc/self/cgroup": "0::/somewhere/outside",
        "sys/fs/cgroup/memory.max": "1073741824", "sys/fs/cgroup/memory.current": "0",
      ], gibibyte
    ),
    (
      "control group 1",
      [
        "proc/self/cgroup": "5:devices:/\n4:cpu,memory:/jobs\n0::/",
        "sys/fs/cgroup/memory/jobs/memory.limit_in_bytes": "3221225472",
        "sys/fs/cgroup/memory/jobs/memory.usage_in_bytes": "1073741824",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "1073741824",
      ], 2 * gibibyte
    ),
    (
      "more in use than allowed",
      [
        "proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "5",
        "sys/fs/cgroup/memory.current": "7",
      ], 64 << 20
    ),
  ]

  @Test(arguments: limits.indices) func theLeastCounts(_ index: Int) throws {
    let (what, files, left) = Self.limits[index]
    let machine = ["proc/meminfo": "MemTotal: 99 kB\nMemAvailable:    8388608 kB\n"]
    try SharedFiles.withFiles(machine.merging(files) { $1 }) { root in
      // A little is kept for what does not ask.
      #expect(Memory.available(in: root) == left - 64 << 20, Comment(rawValue: what))
    }
  }

  @Test func whatIsTooMuchIsRefusedWithNumbers() throws {
    #expect(Memory.available(in: "/nowhere") == nil)
    try Memory.check(0, for: "nothing")
    guard Memory.available() != nil else { return }
    for bytes in [1 << 60, nil] {
      do {
        try Memory.check(bytes, for: "a lot")
        Issue.record("\(bytes ?? 0) bytes were allowed")
      } catch {
        #expect(error.problem.hasPrefix("a lot needs ") && error.problem.contains("GiB are free"))
        #expect(error.recovery != nil)
      }
    }
  }

  @Test func elementsAreCountedWithoutOverflow() {
    #expect([2, 3].elementCount == 6 && [Int]().elementCount == 1 && [0, 5].elementCount == 0)
    for shape in [[-1], [.max, 2], [1 << 32, 1 << 32], [0, .max, .max], [1 << 41]] {
      #expect(shape.elementCount == nil)
    }
    #expect([.max, .max, 3].boundedProduct == 1 << 56 && [2, 3].boundedProduct == 6)
  }

  @Test func terminalsAreNotMoved() {
    #expect("conv1/über 層".printable == "conv1/über 層")
    #expect("\u{1b}[31mred\r\n".printable == "\\u{1B}[31mred\\r\\n")
    #expect("a\u{202e}b\u{9b}c".printable == "a\\u{202E}b\\u{009B}c")
    let error = FileError.unreadable(path: "\u{7}", reason: "no\u{8}")
    #expect(!error.description.unicodeScalars.contains { $0.value < 32 })
  }
}
