#include "examples/segmentation/report.hpp"

#include <limits>

#include "examples/segmentation/chart.hpp"
#include "tests/examples/support.hpp"

using namespace segment;
using support::contains;

namespace {

Report sample() {
  Report report;
  report.title = "brain <script>alert('x')</script> & co";
  report.facts = {{"steps", "200"}, {"note", "<b>\"quoted\"</b>"}};
  report.class_names = {"background", "cortex", "<nuclei>"};
  report.config = "{\n  \"image\": \"</pre><img src=x>\"\n}";
  for (int step = 1; step <= 200; ++step) {
    report.records.push_back({"step", step, 2.0 / step + 0.1, 0.01, step * 0.5, {}, 0});
    if (step % 100 == 0) {
      report.records.push_back({"validation",
                                step,
                                0.4,
                                0.01,
                                step * 0.5,
                                {{"cortex", 0.61 + step / 1000.0}, {"<nuclei>", 0.5}},
                                0.6});
    }
  }
  report.records.push_back({"end", 200, 0.4, 0, 100, {{"cortex", 0.81}, {"<nuclei>", 0.5}}, 0.655});
  report.pictures = {{"axial 'view'", Picture(4, 4, {200, 10, 10})}};
  return report;
}

}  // namespace

TEST_CASE("report: every text is escaped, nothing is fetched") {
  const std::string html = render_report(sample());
  for (const char* bad : {"<script", "<b>", "</pre><img", "<nuclei>", "http:", "https:", "url("}) {
    CAPTURE(bad);
    CHECK_FALSE(contains(html, bad));
  }
  CHECK(contains(html, "brain &lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co"));
  CHECK(contains(html, "&lt;nuclei&gt;"));
  CHECK(contains(html, "src='data:image/png;base64,iVBORw0KGgo"));
}

TEST_CASE("report: the Dice table has a row a validation, the end's in place of its step's") {
  const std::string html = render_report(sample());
  CHECK(contains(html, "<tr><td>100</td><td>0.710</td><td>0.500</td><td>0.600</td>"));
  CHECK(contains(html, "<tr><td>200</td><td>0.810</td><td>0.500</td><td>0.655</td>"));
  CHECK_FALSE(contains(html, "<td>200</td><td>0.600</td>"));
  CHECK(contains(html, "<polyline class='raw'"));
  CHECK(contains(html, "<circle class='second'"));
}

TEST_CASE("report: without records, with one, with losses that are not finite or below 0") {
  Report report = sample();
  report.records.clear();
  CHECK(contains(render_report(report), "No validation has run yet"));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  report.records = {{"step", 1, nan, 0.1, 1, {}, 0},
                    {"step", 2, -3, 0.1, 1, {}, 0},
                    {"validation", 2, nan, 0.1, 1, {{"cortex", nan}}, nan}};
  const std::string html = render_report(report);
  CHECK_FALSE(contains(html, "nan"));
  CHECK_FALSE(contains(html, "inf"));
  CHECK(contains(html, "<td>–</td>"));
}

TEST_CASE("report: the file is the page") {
  const support::TempDir dir;
  write_report(dir / "report.html", sample());
  CHECK(support::read_bytes(dir / "report.html") == render_report(sample()));
}

TEST_CASE("chart: the smoothed curve keeps straight lines, and the ends, and leaves out NaN") {
  std::vector<std::pair<double, double>> line{{0, 0}, {1, 2}, {2, 4}, {3, 6}, {4, 8}};
  for (const auto& [x, y] : smoothed(line, 5)) CHECK(y == doctest::Approx(2 * x));
  line[2].second = 9;
  CHECK(smoothed(line, 3)[1].second == doctest::Approx((0 + 2 + 9) / 3.0));
  CHECK(smoothed(line, 5)[2].second == doctest::Approx((0 + 2 + 9 + 6 + 8) / 5.0));
  CHECK(smoothed(line, 5)[0].second == 0);
  line[1].second = std::numeric_limits<double>::quiet_NaN();
  CHECK(smoothed(line, 3).size() == 4);
  CHECK(smoothed({}, 5).empty());
}

TEST_CASE("chart: long series are thinned, larger values are drawn higher") {
  std::vector<std::pair<double, double>> points;
  for (int i = 0; i < 100000; ++i) points.emplace_back(i, i);
  const std::string svg = line_chart({{"a", "raw", points}}, "step", "loss", Scale::linear);
  CHECK(svg.size() < 60000);
  const std::string two = line_chart({{"a", "raw", {{0, 1}, {10, 100}}}}, "step", "loss", Scale::log);
  const std::size_t at = two.find("points='") + 8;
  double x0, y0, x1, y1;
  REQUIRE(std::sscanf(two.c_str() + at, "%lf,%lf %lf,%lf", &x0, &y0, &x1, &y1) == 4);
  CHECK(x0 < x1);
  CHECK(y0 > y1);
}
