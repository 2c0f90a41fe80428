import NapData
import NapKernels
import NapVersion

/// What nap computes with.
public enum Runtime {
  /// The version of nap.
  public static let version = "0.2.0"

  /// What nap was built from: a commit, with a plus where files were changed; `nil` where it is not known.
  public static var commit: String? {
    builtCommit.isEmpty ? nil : builtCommit
  }

  /// Such as `0.2.0 (1234abcd5)`.
  public static var versionWithCommit: String { version + (commit.map { " (\($0))" } ?? "") }

  /// What nap computes and decodes by, with versions.
  public static var libraries: [String] {
    ["oneDNN \(OneDNN.version)", "OpenBLAS \(OpenBLAS.version)"] + Decoders.versions
  }

  /// How many threads can be asked for.
  public static let threadRange = 1...1024

  /// Chooses threads and kernels. Call it once, before anything else of nap and while no other thread
  /// computes; who does not, computes with what the libraries take by themselves, which can be slower.
  ///
  /// Threads that wait should sleep soon where other work runs beside: OpenMP reads that from the environment
  /// before any program begins (`GOMP_SPINCOUNT=1000`, as the command sets it for itself).
  ///
  /// - Parameter threads: how many, kept to `threadRange`; `nil` for `OMP_NUM_THREADS`, else for what the process may
  ///   use: the machine's processors, its affinity, the quota of its control groups.
  public static func prepare(threads: Int? = nil) {
    OpenBLAS.chooseKernels()
    let count = threads ?? Threads.standard.count
    Threads.use(min(max(count, threadRange.lowerBound), threadRange.upperBound))
  }

  /// How many threads compute.
  public static var threads: Int { Threads.count }
}
