/* Brings <seedance-progress> to life: one request for all bars of a page, repeated as the server
   asks. What it shows comes from the server, in words already translated. */
(() => {
  "use strict";

  const MAX_IDS = 100;
  const FIRST_RETRY = 2;
  const LONGEST_RETRY = 60;
  const LONGEST_WAIT = 300;
  const SIGNED_OUT_RETRY = 60;

  // All bars that ask the same address.
  class Follower {
    constructor(url) {
      this.url = url;
      this.bars = new Set();
      this.etags = new Map();
      this.failures = 0;
      this.timer = 0;
      this.dueAt = Infinity;
      this.busy = false;
      for (const name of ["online", "focus", "pageshow"]) addEventListener(name, () => this.wake());
      addEventListener("offline", () => this.say("offline"));
      document.addEventListener("visibilitychange", () => this.wake());
    }

    add(bar) {
      this.bars.add(bar);
      this.schedule(bar.pollAfter);
    }

    remove(bar) {
      this.bars.delete(bar);
    }

    schedule(seconds) {
      const at = Date.now() + seconds * 1000;
      if (at >= this.dueAt) return;
      this.dueAt = at;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), Math.max(0, at - Date.now()));
    }

    // A sleeping computer stops the timers: look at the clock when it wakes.
    wake() {
      if (document.hidden || !this.bars.size) return;
      if (this.failures || Date.now() >= this.dueAt) this.ask();
    }

    async ask() {
      if (this.busy || !this.bars.size) return;
      clearTimeout(this.timer);
      if (document.hidden) {
        this.dueAt = 0;
        return;
      }
      this.dueAt = Infinity;
      this.busy = true;
      let wait;
      try {
        wait = await this.askAll();
        this.failures = 0;
      } catch (error) {
        wait = this.fail(error);
      }
      this.busy = false;
      if (this.bars.size) this.schedule(wait);
    }

    async askAll() {
      const bars = [...this.bars];
      let wait = LONGEST_WAIT;
      for (let i = 0; i < bars.length; i += MAX_IDS) {
        wait = Math.min(wait, await this.askSome(bars.slice(i, i + MAX_IDS)));
      }
      return wait;
    }

    async askSome(bars) {
      const ids = [...new Set(bars.map((bar) => bar.videoId))];
      const url = this.url + "?" + ids.map((id) => "id=" + encodeURIComponent(id)).join("&");
      const headers = { Accept: "application/json" };
      if (this.etags.has(url)) headers["If-None-Match"] = this.etags.get(url);
      const reply = await fetch(url, {
        headers, cache: "no-store", credentials: "same-origin", redirect: "manual",
        signal: AbortSignal.timeout(30000),
      });
      const asked = Number(reply.headers.get("Retry-After")) || 0;
      if (reply.status === 304) {
        bars.forEach((bar) => bar.say(""));
        return Math.max(1, asked || LONGEST_RETRY);
      }
      if (isSignedOut(reply)) {
        bars.forEach((bar) => bar.say("signedOut"));
        return SIGNED_OUT_RETRY;
      }
      if (!reply.ok) throw Object.assign(new Error("HTTP " + reply.status), { asked });
      const videos = new Map((await reply.json()).videos.map((video) => [video.id, video]));
      if (this.etags.size > 50) this.etags.clear();
      if (reply.headers.get("ETag")) this.etags.set(url, reply.headers.get("ETag"));
      for (const bar of bars) {
        const video = videos.get(bar.videoId);
        if (video) bar.show(video);
        else bar.say("signedOut");
      }
      return Math.max(1, asked || LONGEST_RETRY);
    }

    fail(error) {
      this.failures += 1;
      this.say(navigator.onLine ? "unreachable" : "offline");
      const doubled = FIRST_RETRY * 2 ** Math.min(this.failures - 1, 10);
      const wait = Math.min(LONGEST_RETRY, doubled) * (0.75 + Math.random() / 2);
      return Math.max(error.asked || 0, wait);
    }

    say(word) {
      this.bars.forEach((bar) => bar.say(word));
    }
  }

  function isSignedOut(reply) {
    if (reply.type === "opaqueredirect") return true;
    if ([401, 403, 404].includes(reply.status)) return true;
    return reply.ok && !(reply.headers.get("Content-Type") || "").includes("json");
  }

  const followers = new Map();

  function follower(url) {
    if (!followers.has(url)) followers.set(url, new Follower(url));
    return followers.get(url);
  }

  class Progress extends HTMLElement {
    connectedCallback() {
      this.videoId = this.dataset.video;
      this.words = JSON.parse(this.dataset.words || "{}");
      this.notice = this.part("notice").textContent;
      this.shownProgress = Number(this.part("bar").value) || 0;
      this.pollAfter = Number(this.dataset.pollAfter) || 0;
      if (this.dataset.url && this.dataset.pollAfter) follower(this.dataset.url).add(this);
    }

    disconnectedCallback() {
      if (this.dataset.url) follower(this.dataset.url).remove(this);
    }

    part(name) {
      return this.querySelector(".seedance-" + name);
    }

    text(name, words) {
      const part = this.part(name);
      if (part.textContent !== words) part.textContent = words;
      part.hidden = !words;
    }

    // What the page itself has to say comes before the server's notice.
    say(word) {
      this.text("notice", this.words[word] || this.notice || "");
    }

    show(video) {
      this.dataset.status = video.status;
      this.notice = video.notice;
      this.say("");
      this.text("label", video.label);
      this.text("reason", video.reason);
      this.showProgress(video);
      if (video.status === "completed") this.play(video);
      if (video.poll_after === null) follower(this.dataset.url).remove(this);
      this.dispatchEvent(new CustomEvent("seedance:change", { bubbles: true, detail: video }));
    }

    showProgress(video) {
      this.part("line").hidden = video.progress === null || video.status === "completed";
      if (video.progress === null) return;
      // Only a video that is bought again starts anew.
      const least = video.status === "creating" ? 0 : this.shownProgress;
      const value = Math.max(least, video.progress);
      this.shownProgress = value;
      const bar = this.part("bar");
      bar.value = value;
      bar.setAttribute("aria-valuenow", value);
      const told = [video.label, value + " %", video.time_left].filter(Boolean).join(", ");
      bar.setAttribute("aria-valuetext", told);
      this.part("number").textContent = value;
      this.part("about").hidden = !video.is_estimate;
      this.text("left", video.time_left);
    }

    play(video) {
      const player = this.part("player");
      if (player.querySelector("video")) return;
      const url = video.file_url || video.video_url;
      const trouble = this.words[video.file_url ? "unloadable" : "expired"];
      if (url) player.replaceChildren(playerOf(url, this.words.player, trouble));
      // While the file is being kept, its URL may still come.
      else if (video.stored !== "storing") player.replaceChildren(reloadLink(this.words));
    }
  }

  function playerOf(url, name, trouble) {
    const holder = document.createElement("seedance-video");
    holder.className = "seedance-video";
    const video = document.createElement("video");
    Object.assign(video, { controls: true, playsInline: true, preload: "metadata", src: url });
    video.setAttribute("aria-label", name || "");
    const expired = document.createElement("p");
    expired.className = "seedance-expired";
    expired.setAttribute("role", "status");
    expired.hidden = true;
    expired.textContent = trouble || "";
    holder.append(video, expired);
    return holder;
  }

  function reloadLink(words) {
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = words.ready || "";
    return link;
  }

  class Player extends HTMLElement {
    connectedCallback() {
      const video = this.querySelector("video");
      const expired = this.querySelector(".seedance-expired");
      const tell = () => { expired.hidden = false; video.hidden = true; };
      video.addEventListener("error", tell);
      video.addEventListener("loadeddata", () => { expired.hidden = true; });
      if (video.error) tell();
    }
  }

  // An element that is defined while the page is still being read has no children yet.
  function define() {
    customElements.define("seedance-progress", Progress);
    customElements.define("seedance-video", Player);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", define);
  else define();
})();
