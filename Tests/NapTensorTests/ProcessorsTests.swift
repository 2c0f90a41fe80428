import Foundation
import NapTensor
import NapTestSupport
import Testing

/// Threads go by the least of what a process may use.
@Suite struct ProcessorsTests {
  /// Of a machine with 16.
  private static let limits: [(what: String, files: [String: String], count: Int)] = [
    ("nothing", [:], 16),
    ("taskset", ["proc/self/status": "Name: nap\nCpus_allowed_list:\t0-2,5,8-9\n"], 6),
    ("all allowed", ["proc/self/status": "Cpus_allowed_list:\t0-15"], 16),
    ("what is not a list", ["proc/self/status": "Cpus_allowed_list:\t0-,x"], 16),
    (
      "a quota of one and a half, of a parent's, version 2",
      [
        "proc/self/cgroup": "0::/jobs/mine", "sys/fs/cgroup/jobs/mine/cpu.max": "max 100000\n",
        "sys/fs/cgroup/jobs/cpu.max": "150000 100000\n",
      ], 2
    ),
    (
      "no quota in version 1, one in the group above",
      [
        "proc/self/cgroup": "3:cpu,cpuacct:/jobs\n0::/",
        "sys/fs/cgroup/cpu/jobs/cpu.cfs_quota_us": "-1",
        "sys/fs/cgroup/cpu/jobs/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
      ], 4
    ),
    (
      "less than one",
      ["proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1000 100000"], 1
    ),
    (
      "a period of nothing",
      ["proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "1000 0"], 16
    ),
  ]

  @Test(arguments: limits.indices) func theLeastCounts(_ index: Int) throws {
    let (what, files, count) = Self.limits[index]
    try SharedFiles.withFiles(files) { root in
      let allowed = Processors.allowed(in: root, machine: 16)
      #expect(allowed.count == count, Comment(rawValue: what))
      #expect((allowed.of == "the machine") == (count == 16), Comment(rawValue: what))
    }
  }
}
