import Foundation
import NapTensor
import NapTestSupport
import Testing

@testable import NapKit

/// How long a job takes is told from its beginning on.
@Suite struct ForecastTests {
  private func isNear(_ a: Double?, _ b: Double) -> Bool { abs((a ?? .infinity) - b) < 2 }

  @Test func whatIsLeftGoesDownWithWhatIsDone() {
    let forecast = Forecast(
      of: Journal(), rounds: 3, roundSeconds: 100, images: 10_000, secondsPerImage: 0.1, ending: 50)
    #expect(isNear(forecast.left, 300 + 1000 + 50))
    #expect(forecast.announcement?.contains("about 22:30 min in all") == true)
    forecast.beginRound(left: 3)
    #expect(isNear(forecast.left, 1350))
    // The other rounds take as long as this one did.
    forecast.endRound(taking: 40)
    #expect(isNear(forecast.left, 80 + 1000 + 50))
    forecast.endRound(taking: 40)
    forecast.beginRound(left: 1)
    forecast.endRound(taking: 40)
    forecast.note(images: 1000)
    forecast.note(images: 4000)
    #expect(isNear(forecast.left, 600 + 50))
    // Another training.
    forecast.note(images: 1000)
    #expect(isNear(forecast.left, 500 + 50))
    // A search finds that more is to come, of a network half as large.
    forecast.expect(rounds: 2, images: 8000)
    forecast.imageShare = 0.5
    #expect(isNear(forecast.left, 2 * 40 + 800 + 50))
    forecast.note(images: 3000)
    #expect(isNear(forecast.left, 2 * 40 + 700 + 50))
    forecast.beginRound()
    forecast.endRound(taking: 30)
    #expect(isNear(forecast.left, 30 + 700 + 50))
    forecast.expect(rounds: 0, images: 8000)
    // More than was expected.
    forecast.note(images: 90_000)
    #expect(isNear(forecast.left, 50) && forecast.announcement == nil)
  }

  @Test func candidatesCountWhereTheyAreExpected() {
    func forecast(_ candidates: Int) -> Forecast {
      Forecast(
        of: Journal(), candidates: candidates, secondsPerCandidate: 0.5, rounds: 1,
        roundSeconds: 100, images: 0, secondsPerImage: 0, ending: 0)
    }
    let search = forecast(1000)
    #expect(isNear(search.left, 600))
    search.note(candidate: 400, of: 1000)
    #expect(isNear(search.left, 400))
    search.note(candidate: 1000, of: 1000)
    #expect(isNear(search.left, 100))
    let none = forecast(0)
    none.note(candidate: 1, of: 8)
    #expect(isNear(none.left, 100))
  }

  @Test func jobsAreCounted() {
    let unknown = JobCount(3, each: nil, of: Journal())
    #expect(unknown.name == "job 1 of 3" && unknown.left(own: nil) == nil)
    #expect(isNear(unknown.left(own: 20), 60))
    unknown.endJob()
    #expect(unknown.name == "job 2 of 3" && isNear(unknown.left(own: 20), 20))
    let given = JobCount(45, each: 240, of: Journal())
    #expect(isNear(given.left(own: nil), 45 * 240) && isNear(given.left(own: 100), 44 * 240 + 100))
    for _ in 0..<45 { given.endJob() }
    #expect(given.name == "job 45 of 45" && isNear(given.left(own: 0), 0))
  }
}
