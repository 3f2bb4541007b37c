import "./driver.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { TextProvider } from "../i18n/text";
import { DriverPage } from "./page";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <TextProvider>
      <DriverPage code={decodeURIComponent(location.pathname.split("/")[2] ?? "")} />
    </TextProvider>
  </StrictMode>,
);
