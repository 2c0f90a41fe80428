/// What a network consists of: sizes and costs by layer, and what may be removed.
public struct ProfileReport: Report, Sendable, Equatable {
  public static let isComputed = false

  /// One node of the network.
  public struct Layer: Codable, Sendable, Equatable {
    public var name: String
    public var type: String
    public var inputShapes: [[Int]]
    public var outputShape: [Int]
    public var parameters: Int
    /// Multiply-accumulates of one example.
    public var macs: Int

    public init(
      name: String, type: String, inputShapes: [[Int]], outputShape: [Int], parameters: Int,
      macs: Int
    ) {
      self.name = name
      self.type = type
      self.inputShapes = inputShapes
      self.outputShape = outputShape
      self.parameters = parameters
      self.macs = macs
    }

    enum CodingKeys: String, CodingKey {
      case name, type, parameters, macs
      case inputShapes = "input_shapes"
      case outputShape = "output_shape"
    }
  }

  /// Channels that can be removed one by one, all of the same kind.
  public struct UnitGroup: Codable, Sendable, Equatable {
    /// The nodes that compute or read the channels.
    public var layers: [String]
    /// How many units there are.
    public var count: Int
    /// Multiply-accumulates and parameters that go with one of them.
    public var macs: Int
    public var parameters: Int

    public init(layers: [String], count: Int, macs: Int, parameters: Int) {
      self.layers = layers
      self.count = count
      self.macs = macs
      self.parameters = parameters
    }
  }

  /// An axis none of whose indices may go, and why.
  public struct Frozen: Codable, Sendable, Equatable {
    public var value: String
    public var axis: Int
    public var reason: String

    public init(value: String, axis: Int, reason: String) {
      self.value = value
      self.axis = axis
      self.reason = reason
    }
  }

  public var parameters: Int
  /// Multiply-accumulates of one example.
  public var macs: Int
  public var layers: [Layer]
  public var units: [UnitGroup]
  public var frozen: [Frozen]

  public init(parameters: Int, macs: Int, layers: [Layer], units: [UnitGroup], frozen: [Frozen]) {
    self.parameters = parameters
    self.macs = macs
    self.layers = layers
    self.units = units
    self.frozen = frozen
  }
}
