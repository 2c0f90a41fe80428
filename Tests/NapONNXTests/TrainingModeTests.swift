import NapGraph
import NapONNX
import NapTestSupport
import Testing

/// Before opset 14, its outputs say whether a normalization takes the statistics of the batch.
@Suite struct TrainingModeTests {
  @Test(arguments: [
    (7, ["m", "v", "sm", "sv"], true), (9, ["m", "v", "sm", "sv"], true),
    (13, ["m", "v", "sm", "sv"], true), (13, ["", "", "", "sv"], true),
    (7, [], false), (13, [], false), (13, ["", "", "", ""], false),
    // There an attribute says it.
    (14, ["m", "v"], false),
  ] as [(Int64, [String], Bool)])
  func outputsSayWhatANormalizationDoes(_ opset: Int64, _ others: [String], _ isRefused: Bool)
    throws
  {
    var file = try ModelFile(SmallNetwork.residual.graph)
    file.proto.opsetImport[0].version = opset
    let index = try #require(
      file.proto.graph.node.firstIndex { $0.opType == "BatchNormalization" })
    let name = file.proto.graph.node[index].name
    file.proto.graph.node[index].output += others
    guard isRefused else {
      #expect(try file.read().nodes.count == SmallNetwork.residual.graph.nodes.count)
      return
    }
    let error = #expect(throws: ONNXError.self) { try file.read() }
    #expect(error?.problem.contains("'\(name)'") ?? false)
    #expect(error?.problem.contains("training mode") ?? false, "\(error?.problem ?? "")")
  }
}
