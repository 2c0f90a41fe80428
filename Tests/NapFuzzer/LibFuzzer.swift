import Foundation
import NapFuzzing
import NapTensor

// What libFuzzer calls, https://llvm.org/docs/LibFuzzer.html.

/// The target of `NAP_FUZZ_TARGET`, and the folder that its files are in.
private let target: (FuzzTarget, URL) = {
  let name = ProcessInfo.processInfo.environment["NAP_FUZZ_TARGET"] ?? ""
  guard let target = FuzzTarget.named(name) else {
    let known = FuzzTarget.all.map(\.name).joined(separator: ", ")
    FileHandle.standardError.write(Data("no target '\(name)'; there are \(known)\n".utf8))
    _exit(2)
  }
  let folder = FileManager.default.temporaryDirectory.appending(path: "nap-fuzz-\(getpid())")
  try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  return (target, folder)
}()

/// Writes the target's seeds to the folder of `NAP_FUZZ_SEEDS` and ends, where there is one.
@_cdecl("LLVMFuzzerInitialize")
func initialize(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>
) -> Int32 {
  guard let seeds = ProcessInfo.processInfo.environment["NAP_FUZZ_SEEDS"] else { return 0 }
  do {
    for (index, seed) in try target.0.seeds().enumerated() {
      try seed.write(to: URL(fileURLWithPath: "\(seeds)/seed-\(index)"))
    }
  } catch {
    fatalError("\(error)")
  }
  _exit(0)
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let (target, folder) = target
  do {
    try target.refusal(of: bytes.map { Data(bytes: $0, count: count) } ?? Data(), in: folder)
  } catch {
    fatalError("\(target.name): \(error)")
  }
  return 0
}

@_silgen_name("LLVMFuzzerMutate")
private func mutate(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int) -> Int

/// Every second file of a network is changed field by field, so that it can be decoded.
@_cdecl("LLVMFuzzerCustomMutator")
func mutateFile(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int, _ limit: Int, _ seed: UInt32)
  -> Int
{
  var models = NoisyModels(seed: Seed(UInt64(seed)))
  guard target.0.readsModels, seed % 2 == 0,
    let changed = try? models.changed(Data(bytes: bytes, count: count)), changed.count <= limit
  else { return mutate(bytes, count, limit) }
  changed.copyBytes(to: bytes, count: changed.count)
  return changed.count
}
