import Foundation
import NapTensor

/// What a job has done so far, kept so that it goes on where anything has stopped it.
///
/// A job is a program that is run again from its beginning. A step that was done gives what it gave then, without
/// being done again; the first that was not is done, from where its loop was saved last. So what is between
/// steps has to be quick, and to follow from settings, data and what steps gave; the clock is `elapsed`.
///
/// Steps may have steps inside: these are forgotten when the outer one is done.
package final class Journal {
  /// `nil`: nothing is kept, and every step is done.
  private let folder: String?
  /// Of the step that is being done.
  private var place: [Int] = []
  /// Of the next step inside of it.
  private var number = 1
  /// Seconds of work before, less those since the process began.
  private var offset = 0.0
  private let start = ContinuousClock.now
  /// Told of what could not be kept; work goes on without it.
  var warn: (String) -> Void = { _ in }
  /// Whether something was found that had been done before, and what `elapsed` was then.
  private(set) var isResumed = false
  private(set) var restored = 0.0

  /// Keeps nothing.
  init() { folder = nil }

  /// - Parameter folder: of this journal alone; it is made where there is none.
  init(in folder: String) throws {
    self.folder = folder
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  /// Seconds that the job has been worked on, also before it was stopped.
  var elapsed: Double { offset + (ContinuousClock.now - start) / .seconds(1) }

  /// How long something takes, or took before the job was stopped, in seconds.
  func timed(_ body: () throws -> Void) rethrows -> Double {
    let before = elapsed
    try body()
    return elapsed - before
  }

  private struct Record<Value: Codable>: Codable {
    var name: String
    /// When the step was done.
    var elapsed: Double
    var value: Value
  }

  /// Does a step, or gives what it gave before.
  func step<Value: Codable>(_ name: String, _ body: () throws -> Value) throws -> Value {
    let own = place + [number]
    number += 1
    if let done = read(Record<Value>.self, Self.file(own)), done.name == name {
      found(done.elapsed)
      forgetInside(own)
      return done.value
    }
    // What was done after it may have been done to something else.
    forget { inner, _ in own.lexicographicallyPrecedes(inner) && !inner.starts(with: own) }
    let outer = (place, number)
    (place, number) = (own, 1)
    defer { (place, number) = outer }
    let value = try body()
    if write(Record(name: name, elapsed: elapsed, value: value), Self.file(own)) {
      forgetInside(own)
    }
    return value
  }

  /// Does a step that is a loop, from where it was saved last.
  ///
  /// - Parameter state: what the loop has come to between two turns.
  func step<Value: Codable, State: Codable>(
    _ name: String, saving state: State.Type, _ body: (Loop<State>) throws -> Value
  ) throws -> Value {
    try step(name) { try body(Loop(self)) }
  }

  /// A loop that a step consists of.
  package final class Loop<State: Codable> {
    /// What it had come to when it was saved last; `nil` at the beginning.
    let restored: State?
    private let journal: Journal
    private let place: [Int]
    private var turn: Int
    private var lastSave = ContinuousClock.now
    private var pause = Journal.firstPause
    /// The number of the next step inside, when it was saved last.
    private var numberThen: Int

    private struct Saved: Codable {
      var turn: Int
      var number: Int
      var elapsed: Double
      var state: State
    }

    fileprivate init(_ journal: Journal) {
      self.journal = journal
      place = journal.place
      let saved = (0...1).compactMap {
        journal.read(Saved.self, Journal.file(journal.place, loop: $0))
      }.max { $0.turn < $1.turn }
      if let saved {
        journal.found(saved.elapsed)
        journal.number = saved.number
      }
      restored = saved?.state
      turn = saved?.turn ?? 0
      numberThen = journal.number
    }

    /// Ends a turn: saves where that is due, then does something, such as to tell of it; if that throws, what
    /// was reached is saved first.
    func end(_ state: @autoclosure () -> State, then body: () throws -> Void = {}) throws {
      // Where nothing is kept, a state is not even asked for: it is a copy of all weights.
      guard journal.folder != nil else { return try body() }
      if ContinuousClock.now - lastSave >= pause { save(state()) }
      do {
        try body()
      } catch {
        save(state())
        throw error
      }
    }

    private func save(_ state: State) {
      turn += 1
      let saved = Saved(
        turn: turn, number: journal.number, elapsed: journal.elapsed, state: state)
      let cost = ContinuousClock().measure {
        guard journal.write(saved, Journal.file(place, loop: turn % 2)) else { return }
        // The save before this one may still be needed, and what was done since then with it.
        let done = numberThen
        journal.forget { inner, _ in
          inner.count > place.count && inner.starts(with: place) && inner[place.count] < done
        }
        numberThen = saved.number
      }
      pause = min(max(Journal.firstPause, cost * Journal.patience), Journal.longestPause)
      lastSave = .now
    }
  }

  /// Between two saves: shorter ones are not worth it; saving takes a small part of the time; and no more work is
  /// lost than this.
  private static let firstPause =
    ProcessInfo.processInfo.environment["NAP_CHECKPOINT_SECONDS"]
    .flatMap(Double.init).map { Duration.seconds($0) } ?? .seconds(20)
  private static let patience = 200
  private static let longestPause = Duration.seconds(240)

  // MARK: Files
  private static func file(_ place: [Int]) -> String {
    place.map(String.init).joined(separator: ".") + ".step"
  }

  private static func file(_ place: [Int], loop: Int) -> String {
    place.map(String.init).joined(separator: ".") + ".loop\(loop)"
  }

  /// Whether anything is kept.
  var hasKept: Bool {
    folder.flatMap { try? FileManager.default.contentsOfDirectory(atPath: $0) }?.isEmpty == false
  }

  private func found(_ elapsed: Double) {
    offset += elapsed - self.elapsed
    (isResumed, restored) = (true, elapsed)
  }

  private func read<Value: Decodable>(_ type: Value.Type, _ file: String) -> Value? {
    folder.flatMap { Checkpoint.read(type, from: "\($0)/\(file)") }
  }

  /// Whether it could be kept.
  private func write(_ value: some Encodable, _ file: String) -> Bool {
    guard let folder else { return false }
    do {
      try Checkpoint.write(value, to: "\(folder)/\(file)")
      return true
    } catch {
      warn("what is done could not be kept: \(error)")
      return false
    }
  }

  /// Removes what was kept inside of a step that is done.
  private func forgetInside(_ own: [Int]) {
    forget { $0.starts(with: own) && ($0.count > own.count || $1) }
  }

  /// Removes what was kept of steps, by their places, and of their loops.
  private func forget(_ isOver: (_ place: [Int], _ isLoop: Bool) -> Bool) {
    guard let folder,
      let files = try? FileManager.default.contentsOfDirectory(atPath: folder)
    else { return }
    for file in files {
      let parts = file.split(separator: ".")
      let place = parts.dropLast().compactMap { Int($0) }
      if isOver(place, parts.last != "step") {
        try? FileManager.default.removeItem(atPath: "\(folder)/\(file)")
      }
    }
  }
}
