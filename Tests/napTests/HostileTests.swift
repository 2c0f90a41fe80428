import Foundation
import NapData
import NapGraph
import NapKit
import NapOperators
import NapTensor
import NapTestSupport
import Testing

/// Files and arguments that have misled nap, or that might: exit status, sentence, and what is left.
///
/// SECURITY.md lists where the others of their kind are tested.
@Suite(.serialized) struct HostileTests {
  /// A folder with `model.onnx`, `x.npy` (64 images) and `xy.npz` (with labels), and what is added to it.
  private struct Row {
    var name: String
    var arguments: [String]
    var add: (URL) throws -> Void = { _ in }
    /// Lines for `sh`, in the folder.
    var shell = "exec \"$@\""
    var status: Int32
    var says = ""
    /// Files that are the same afterwards.
    var keeps = ["model.onnx", "x.npy", "xy.npz"]
  }

  private static let shape = [3, 8, 8]
  private static let prune = ["--preset", "plain", "--epochs", "0", "--quiet", "--no-run", "--allow-chance"]
  private static let small = prune + ["--macs", "0.6", "-o", "o.onnx"]

  private static var network: SmallNetwork {
    var n = SmallNetwork()
    let a = n.apply(Relu(), n.conv(n.input(shape), [8, 3, 3, 3], "c1"), name: "c1.relu")
    let b = n.apply(Relu(), n.conv(a, [8, 8, 3, 3], "c2"), name: "c2.relu")
    let features = n.apply(
      Flatten(), n.apply(GlobalAveragePool(), b, name: "pool"), name: "flatten")
    n.output(n.linear(features, 8, 4, "fc"), [4])
    return n
  }

  private static func images(_ count: Int) -> Tensor {
    var random = Seed(2).generator()
    return Tensor(
      shape: [count] + shape, floats: (0..<count * shape.product).map { _ in random.uniform() })
  }

  private static func prepare(_ folder: URL) throws {
    try Network(network.graph).write(to: folder.appending(path: "model.onnx").path)
    try NumPyFile.write(images(64), to: folder.appending(path: "x.npy").path)
    let labels = Tensor(shape: [64], integers: (0..<64).map { Int64($0 % 4) })
    try NumPyFile.writeArchive(
      [("x", images(64)), ("y", labels)], to: folder.appending(path: "xy.npz").path)
  }

  private static func text(_ name: String, _ text: String) -> (URL) throws -> Void {
    { try Data(text.utf8).write(to: $0.appending(path: name)) }
  }

  /// A network of which the first node has another name.
  private static func named(_ name: String) -> (URL) throws -> Void {
    { folder in
      var graph = network.graph
      graph.nodes[0].name = name
      try Network(graph).write(to: folder.appending(path: "named.onnx").path)
    }
  }

  private static func link(_ name: String, to place: String) -> (URL) throws -> Void {
    {
      try FileManager.default.createSymbolicLink(
        atPath: $0.appending(path: name).path, withDestinationPath: place)
    }
  }

  private static var rows: [Row] {
    [
      Row(
        name: "names of one letter",
        arguments: ["prune", "m", "--data", "xy.npz"] + prune + ["--macs", "0.6", "-o", "y"],
        shell: "cp model.onnx m; \"$@\" && test -s y && exec \"$1\" profile y", status: 0),
      Row(
        name: "the result over the network, by a link to its folder",
        arguments: ["prune", "model.onnx", "--data", "x.npy"] + prune + ["-o", "here/model.onnx"],
        add: link("here", to: "."), status: 1, says: "which is read"),
      Row(
        name: "the result over the teacher",
        arguments: ["train", "model.onnx", "--teacher", "teacher.onnx", "--data", "xy.npz"]
          + ["--preset", "plain", "--no-run", "-o", "teacher.onnx"],
        shell: "cp model.onnx teacher.onnx; exec \"$@\"", status: 1, says: "which is read"),
      Row(
        name: "the result over the data",
        arguments: ["prune", "model.onnx", "--data", "x.npy"] + prune + ["-o", "x.npy"], status: 1,
        says: "which is read"),
      Row(
        name: "outputs over inputs",
        arguments: ["run", "model.onnx", "--input", "x=x.npy", "-o", "link.npz"],
        add: link("link.npz", to: "x.npy"), status: 1, says: "which is read"),
      Row(
        name: "an output of a name that no archive takes",
        arguments: ["run", "long.onnx", "--input", "x=x.npy", "-o", "out.npz"],
        add: { folder in
          var n = SmallNetwork()
          n.output(
            n.apply(Relu(), n.input(shape), name: String(repeating: "q", count: 70_000)), shape)
          try Network(n.graph).write(to: folder.appending(path: "long.onnx").path)
        }, status: 1, says: "has 70000 bytes"),
      Row(
        name: "a file for the journal of a run",
        arguments: ["prune", "model.onnx", "--data", "xy.npz", "--preset", "plain"]
          + ["--macs", "0.6", "--epochs", "1000", "-o", "o.onnx", "--allow-chance"],
        shell: """
          "$@" & until [ -e o.run/journal/1.step ] || ! kill -0 $!; do sleep 0.05; done
          kill -INT $!; wait $!
          rm -r o.run/journal; : >o.run/journal
          exec "$1" resume o.run
          """, status: 1, says: "o.run/journal': file exists"),
      Row(
        name: "a network over the list of a run",
        arguments: ["pick", "run", "--macs", "0.9", "-o", "run/points.json"],
        shell: """
          mkdir run; cp model.onnx run/point-1.onnx
          echo '[{"file":"point-1.onnx","point":{"macs":0.5,"parameters":0.5,"accuracy":90},"sizes":{}}]' >run/points.json
          cp run/points.json before; "$@"; status=$?
          cmp before run/points.json || exit 99
          exit $status
          """, status: 1),
      Row(
        name: "a promise from nine examples",
        arguments: ["prune", "model.onnx", "--data", "nine.npy", "-o", "o.onnx"] + prune,
        add: { try NumPyFile.write(images(9), to: $0.appending(path: "nine.npy").path) }, status: 2,
        says: "give 48 at least"),
      Row(
        name: "nobody takes what is said", arguments: ["profile", "model.onnx"],
        shell: "exec \"$@\" >/dev/full", status: 1, says: "cannot write to standard output"),
      Row(
        name: "times beyond all numbers",
        arguments: ["prune", "model.onnx", "--data", "x.npy", "--latency", "0.5"]
          + ["--latency-table", "t.csv", "-o", "o.onnx"] + prune,
        add: text("t.csv", "node,inputs,outputs,milliseconds\nc1,3,8,1e300\n"), status: 2,
        says: "line 2 of"),
      Row(
        name: "NaN in the weights",
        arguments: ["eval", "nan.onnx", "--data", "xy.npz"]
          + ["--preset", "plain", "--split", "train"],
        add: { folder in
          var graph = network.graph
          let weight = network.constant("c1.w")
          graph.constants[weight]?.floats[5] = .nan
          try Network(graph).write(to: folder.appending(path: "nan.onnx").path)
        }, status: 2, says: "'c1.w'"),
      Row(
        name: "a rate that is far too large",
        arguments: ["train", "model.onnx", "--data", "xy.npz", "--preset", "plain", "--no-run"]
          + ["--learning-rate", "1e10", "--epochs", "2", "--batch-size", "16", "-o", "o.onnx"],
        shell: "\"$@\" && exit 99; test ! -e o.onnx || exit 98; exit 1", status: 1),
      Row(
        name: "axes longer than memory", arguments: ["profile", "huge.onnx"],
        add: { folder in
          var n = SmallNetwork()
          let x = n.input([1 << 31])
          n.output(n.apply(Relu(), x, name: "relu"), [1 << 31])
          try Network(n.graph).write(to: folder.appending(path: "huge.onnx").path)
        }, shell: "ulimit -v 6000000; exec \"$@\"", status: 1, says: "GiB are free"),
      Row(
        name: "images that unpack to more than they say",
        arguments: ["prune", "model.onnx", "--data", "bomb"] + small,
        shell: """
          mkdir bomb; ulimit -v 6000000
          (printf '\\000\\000\\010\\003\\000\\000\\000\\002\\000\\000\\000\\003\\000\\000\\000\\004'
            head -c 100000000 /dev/zero) | gzip -1 >bomb/train-images-idx3-ubyte.gz
          printf '\\000\\000\\010\\001\\000\\000\\000\\002\\001\\000' >bomb/train-labels-idx1-ubyte
          exec "$@"
          """, status: 1, says: "train-images-idx3-ubyte.gz"),
      Row(
        name: "many bytes",
        arguments: ["eval", "model.onnx", "--data", "big.npy", "--preset", "plain"],
        shell: """
          header="{'descr': '|u1', 'fortran_order': False, 'shape': (768000, 3, 8, 8), }"
          printf '\\223NUMPY\\001\\000\\166\\000%-117s\\n' "$header" >big.npy
          truncate -s $((128 + 768000 * 192)) big.npy
          ulimit -v 1500000; OMP_NUM_THREADS=1 exec "$@"
          """, status: 1, says: "have no labels"),
      Row(
        name: "colours in names", arguments: ["profile", "named.onnx"], add: named("\u{1b}[31mred"),
        shell: """
          "$@" >said; status=$?
          grep -q "$(printf '\\033')" said && exit 99
          cat said; exit $status
          """, status: 0, says: "\\u{1B}[31mred"),
      Row(
        name: "line breaks in names", arguments: ["profile", "named.onnx"],
        add: named("first\nsecond"),
        shell: """
          "$1" profile model.onnx | wc -l >expected
          "$@" >said; status=$?
          wc -l <said | cmp - expected || exit 99
          cat said; exit $status
          """, status: 0, says: "first\\nsecond"),
      Row(
        name: "granularity that fits no layer",
        arguments: ["prune", "model.onnx", "--data", "x.npy", "-o", "o.onnx"] + prune
          + ["--granularity", "1:64"], status: 2, says: "no layer has a multiple of 64"),
      Row(
        name: "a rescue beside the network it began with",
        arguments: ["prune", "o-unfinished.onnx", "--data", "xy.npz", "--preset", "plain"]
          + ["--no-run", "--macs", "0.6", "--epochs", "1000", "-o", "o.onnx", "--allow-chance"],
        shell: """
          cp model.onnx o-unfinished.onnx
          "$@" 2>said & until grep -q 'fine-tuning' said || ! kill -0 $!; do sleep 0.05; done
          sleep 0.3; kill -INT $!; wait $!; status=$?
          cmp model.onnx o-unfinished.onnx || exit 99
          cat said; exit $status
          """, status: 130, says: "stopped early"),
    ]
  }

  @Test(arguments: rows.indices) func theAnswerIsASentence(_ index: Int) throws {
    let row = Self.rows[index]
    guard Program.canBeLimited || !row.shell.contains("ulimit") else { return }
    try withFolder { folder in
      try Self.prepare(folder)
      try row.add(folder)
      func contents() throws -> [Data] {
        try row.keeps.map { try Data(contentsOf: folder.appending(path: $0)) }
      }
      let before = try contents()
      let result = try Program.run(row.arguments, shell: "cd '\(folder.path)'\n" + row.shell)
      #expect(result.status == row.status, "\(row.name): \(result)")
      let said = result.output + result.errors
      #expect(row.says.isEmpty || said.contains(row.says), "\(row.name): \(said)")
      let isKept = try contents() == before
      #expect(isKept, "\(row.name) changes what it reads")
    }
  }
}
