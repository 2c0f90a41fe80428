/// Work that had to stop half-way, with the network as it last was in order.
public struct WorkStopped: Error, CustomStringConvertible {
  public package(set) var lastGood: Network
  /// What training threw, reading the data, or the progress handler of whoever wants to stop.
  public let reason: any Error

  public var description: String { "\(reason)" }

  /// Does something that hands on a network if it has to stop.
  static func keeping<Result>(_ lastGood: () -> Network, _ body: () throws -> Result) throws
    -> Result
  {
    do {
      return try body()
    } catch {
      throw WorkStopped(lastGood: lastGood(), reason: (error as? WorkStopped)?.reason ?? error)
    }
  }
}
